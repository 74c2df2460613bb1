-- Quotas by window, pauses of platforms, kept answers.

drop table quota;

create table quota (
    platform  text        not null,
    bucket    text        not null,
    begins_at timestamptz not null,
    ends_at   timestamptz not null,
    used      integer     not null check (used >= 0),
    primary key (platform, bucket, begins_at)
);
comment on table quota is 'Units spent of each quota in each of its windows, by all replicas together.';

create table platform_pauses (
    platform text        primary key,
    until    timestamptz not null,
    because  text        not null
);
comment on table platform_pauses is 'Platforms that asked to be left alone for a while.';

create table http_cache (
    key         text        primary key,
    body        bytea       not null,
    etag        text,
    fetched_at  timestamptz not null,
    fresh_until timestamptz not null
);
comment on table http_cache is 'Answers of platforms. key is a SHA-256 of platform, address and parameters without credentials.';
create index http_cache_age on http_cache (fetched_at);
