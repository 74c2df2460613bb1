-- What a language model thinks of works; which forms grew; how niches move.

create table judge_votes (
    asked    text             primary key,
    model    text             not null,
    value    double precision not null check (value between 0 and 1),
    because  text             not null,
    voted_at timestamptz      not null
);
comment on table judge_votes is 'Votes of a language model on works. Asked once: the same words have the same vote.';
comment on column judge_votes.asked is 'SHA-256 of model, version of the question, niche, title, description as it is cut, and length; hex.';

create table viral_patterns (
    niche       text             not null,
    platform    text             not null,
    origin      text             not null check (origin in ('seen', 'own')),
    kind        text             not null,
    value       text             not null,
    works       integer          not null check (works >= 0),
    of_works    integer          not null check (of_works >= works),
    lift        double precision,
    low         double precision,
    high        double precision,
    because     text             not null,
    begins_at   timestamptz      not null,
    ends_at     timestamptz      not null,
    primary key (niche, platform, origin, kind, value),
    check ((lift is null) = (low is null) and (lift is null) = (high is null))
);
comment on table viral_patterns is 'How much faster works of a form grew than others of their niche, platform and age.';
comment on column viral_patterns.value is 'The form; empty: none can be told of this kind, because says why.';
comment on column viral_patterns.lift is 'Views gained a day against the others, 0.1 is 10 % of all views more; null: because says why.';

create table niche_trends (
    niche            text             not null,
    platform         text             not null,
    window_days      integer          not null check (window_days > 0),
    begins_at        timestamptz      not null,
    ends_at          timestamptz      not null,
    works            integer          not null,
    new_works        integer          not null,
    measured         integer          not null,
    growth           double precision,
    growth_low       double precision,
    growth_high      double precision,
    works_before     integer          not null,
    new_works_before integer          not null,
    measured_before  integer          not null,
    growth_before    double precision,
    change           double precision,
    change_low       double precision,
    change_high      double precision,
    verdict          text             not null check (verdict in ('rising', 'falling', 'steady', 'unknown')),
    because          text             not null,
    primary key (niche, platform, window_days)
);
comment on table niche_trends is 'Each niche on each platform in the last days, against the same number of days before.';
comment on column niche_trends.growth is 'Median growth of a work a day as a ratio, 0.1 is +10 %; null: because says why.';

create index if not exists items_niche on items (niche);
