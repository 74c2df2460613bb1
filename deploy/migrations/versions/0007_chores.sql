-- Work that one replica does once in a while, and look-ups of stored files by their content.

create table chores (
    name    text        primary key,
    done_at timestamptz not null
);
comment on table chores is 'Work by the clock that all replicas share: when it was last begun.';

create index assets_sha256 on assets (sha256);
create index renditions_object on renditions ((rendition ->> 'key'));
