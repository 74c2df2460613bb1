-- What became of posts, and more of their numbers.

alter table measurements
    add column saves              bigint,
    add column reach              bigint,
    add column impressions        bigint,
    add column clicks             bigint,
    add column followers          bigint,
    add column watched_us         bigint,
    add column average_watched_us bigint,
    add column retention          jsonb;
comment on column measurements.retention is 'Part of the video and part of its views still there, pairs; null: not given.';
create index measurements_time on measurements (measured_at);

create table measurement_changes (
    post_id text        not null,
    bucket  integer     not null,
    field   text        not null,
    told_at timestamptz not null,
    kind    text        not null check (kind in ('late', 'corrected')),
    was     jsonb,
    value   jsonb       not null,
    primary key (post_id, bucket, field, told_at),
    foreign key (post_id, bucket) references measurements on delete cascade
);
comment on table measurement_changes is 'What a platform told of a snapshot afterwards. The snapshot itself stays as it was first told.';
comment on column measurement_changes.kind is 'late: it had not told the field then; corrected: it told more then than it does now.';

create table standings (
    post_id       text        primary key references posts,
    state         text        not null default 'stands',
    because       text        not null default '',
    privacy       text,
    seen_at       timestamptz,
    told_state    text        not null default 'stands',
    doubted_state text,
    doubted_at    timestamptz,
    looks         integer     not null default 0,
    missed        integer     not null default 0,
    next_at       timestamptz
);
comment on table standings is 'How each published post stands at its platform, as the sentinel saw it.';
comment on column standings.seen_at is 'When the state was seen last; null: nobody looked yet.';
comment on column standings.told_state is 'What post.changed told last; stands where nothing is to be told.';
comment on column standings.doubted_state is 'Seen once; the next look must agree before it counts.';
comment on column standings.missed is 'Measurements in a row that did not show the post.';
comment on column standings.next_at is 'When it is looked at; null: no more.';
create index standings_due on standings (next_at) where next_at is not null;

create table standing_changes (
    post_id text        not null references posts,
    seen_at timestamptz not null,
    state   text        not null,
    because text        not null,
    privacy text,
    primary key (post_id, seen_at)
);
comment on table standing_changes is 'Each change of a standing, with the moment at which it was seen.';

insert into standings (post_id, next_at)
select post_id, now() from posts where state = 'published' and platform_post_id is not null;

alter table posts add column shown_at timestamptz;
comment on column posts.shown_at is 'When people can see it, where the platform keeps it until then; null: from published_at on.';
update posts set shown_at = (draft ->> 'publish_at')::timestamptz
where (draft ->> 'publish_at')::timestamptz > published_at;
update measure_schedule s set due_at = s.due_at + (p.shown_at - p.published_at)
from posts p
where p.post_id = s.post_id and p.shown_at is not null;
