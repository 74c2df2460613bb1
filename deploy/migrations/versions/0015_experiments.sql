-- Experiments: two variants, their windows or pairs of posts, and what was learned.

create table experiments (
    experiment_id text             primary key,
    kind          text             not null check (kind in ('title', 'description', 'thumbnail', 'hook', 'caption_style')),
    design        text             not null check (design in ('swap', 'pairs')),
    platform      text             not null,
    account_id    text             references accounts,
    post_id       text             references posts,
    a             text             not null,
    b             text             not null,
    effect        double precision not null check (effect > 0),
    planned       integer          not null,
    most          integer          not null,
    sized_anew    boolean          not null default false,
    window_s      integer          not null check (window_s > 0),
    seed          bigint           not null,
    state         text             not null default 'running' check (state in ('running', 'concluded', 'stopped')),
    verdict       jsonb,
    because       text             not null default '',
    created_at    timestamptz      not null,
    ended_at      timestamptz,
    check (design = 'pairs' or (post_id is not null and account_id is not null))
);
comment on table experiments is 'Variant a against variant b. swap: on one post, in turns; pairs: two posts of one kind each.';
comment on column experiments.effect is 'The difference that the size was planned for, 0.2 is a fifth.';
comment on column experiments.planned is 'Pairs until the last look; sized_anew: it was planned anew from their spread.';
comment on column experiments.window_s is 'swap: length of one turn; pairs: age at which two posts are compared. Seconds.';
create unique index experiments_one_swap on experiments (post_id) where design = 'swap' and state = 'running';

create table experiment_turns (
    experiment_id text        not null references experiments,
    number        integer     not null,
    variant       text        not null check (variant in ('A', 'B')),
    set_at        timestamptz,
    from_at       timestamptz,
    from_views    bigint,
    until_at      timestamptz,
    until_views   bigint,
    void          text        not null default '',
    primary key (experiment_id, number)
);
comment on table experiment_turns is 'Turns of a swap: 2n and 2n + 1 are one pair. The row stands before the platform is asked to change anything.';
comment on column experiment_turns.void is 'Why the turn does not count; empty: it counts.';

create table experiment_pairs (
    experiment_id text             not null references experiments,
    number        integer          not null,
    post_a        text             not null references posts,
    post_b        text             not null references posts,
    ratio         double precision,
    void          text             not null default '',
    primary key (experiment_id, number),
    check (post_a <> post_b)
);
comment on column experiment_pairs.ratio is 'Natural logarithm of the views of b over those of a at the same age; null: not known yet.';

create table blueprints (
    blueprint_id  text             primary key,
    kind          text             not null,
    value         text             not null,
    against       text             not null,
    platform      text             not null,
    account_id    text             references accounts,
    effect        double precision not null,
    low           double precision not null,
    high          double precision not null,
    experiment_id text             not null references experiments,
    written_at    timestamptz      not null
);
comment on table blueprints is 'What an experiment showed to be better, with its interval: for the next videos.';
