-- Blueprints that are followed, and variants that the editor makes.

alter table blueprints add column withdrawn_at timestamptz, add column withdrawn_because text not null default '';
comment on column blueprints.withdrawn_at is 'Since when it is not followed any more; null: it is in force.';

alter table experiments add column made_here boolean not null default false;
comment on column experiments.made_here is 'The editor makes the variants of new videos; false: people do.';

alter table experiment_pairs add column by_word boolean not null default true;
comment on column experiment_pairs.by_word is 'That a post has its variant is a person''s word; false: the plans of both say so.';

create table experiment_draws (
    experiment_id text        not null references experiments,
    number        integer     not null,
    variant       text        not null check (variant in ('A', 'B')),
    item_id       text        not null references items,
    drawn_at      timestamptz not null,
    primary key (experiment_id, number),
    unique (experiment_id, item_id)
);
comment on table experiment_draws is 'The editor''s: which variant each item was given. Numbers 2n and 2n + 1 have one of each, in an order drawn by the seed.';
