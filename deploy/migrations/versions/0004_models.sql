-- Models that rank, and the usual engagement of platforms and channels.

create table models (
    version     text        primary key,
    made_at     timestamptz not null,
    inputs      jsonb       not null,
    onnx        bytea       not null,
    report      jsonb       not null,
    better      boolean     not null,
    promoted_at timestamptz,
    retired_at  timestamptz,
    check (promoted_at is null or better)
);
comment on table models is 'Learned models, one row per training. In use: promoted and not retired; none: the forecast alone ranks.';
comment on column models.version is 'Time of training and the first letters of the SHA-256 of the file.';
comment on column models.better is 'Whether it was ahead of the forecast on the validation days; only then can it be promoted.';
create unique index models_in_use on models ((true)) where promoted_at is not null and retired_at is null;

create table base_rates (
    platform text   not null,
    creator  text   not null,
    views    bigint not null,
    likes    bigint not null,
    comments bigint not null,
    liked_views     bigint not null,
    commented_views bigint not null,
    counted_at timestamptz not null,
    primary key (platform, creator)
);
comment on table base_rates is 'Sums over the newest counts of each item. creator empty: the whole platform.';
comment on column base_rates.liked_views is 'Views of the items whose likes are known; commented_views likewise.';
