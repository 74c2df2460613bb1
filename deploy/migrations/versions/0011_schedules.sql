-- Timetables, and posts at a time.

create table timetables (
    account_id text        primary key references accounts,
    timetable  jsonb       not null,
    updated_at timestamptz not null
);
comment on table timetables is 'When each account posts: zone, weekly slots, spacing, most posts of a day, blackouts. Times are wall times.';

create table post_times (
    post_id        text             primary key references posts,
    account_id     text             not null references accounts,
    correlation_id text             not null,
    due_at         timestamptz      not null,
    timed          boolean          not null,
    by_slot        boolean          not null default false,
    kept_there     boolean          not null default false,
    wakes_at       timestamptz,
    turn           integer          not null default 0,
    claimed_at     timestamptz,
    late_s         double precision check (late_s >= 0),
    asking_since   timestamptz,
    let_go_at      timestamptz,
    skipped_at     timestamptz
);
comment on table post_times is 'When a post is due. A post without a row goes at once.';
comment on column post_times.correlation_id is 'The asking that the time belongs to: a new asking is placed anew.';
comment on column post_times.timed is 'A time or a slot was asked for; false: the timetable had no room at once.';
comment on column post_times.kept_there is 'The platform has the post before its time and shows it then.';
comment on column post_times.wakes_at is 'When it is asked for; null: it was, or the platform keeps it.';
comment on column post_times.turn is 'How often it was asked for; part of the id of the event, so that each asking is another.';
comment on column post_times.late_s is 'From due to claimed, the worst so far, seconds; null: it was not claimed yet.';
comment on column post_times.asking_since is 'Its time passed and a person is asked whether it is still posted.';
create index post_times_wake on post_times (wakes_at) where wakes_at is not null;
create index post_times_account on post_times (account_id, due_at);
create index posts_by_account on posts (account_id) where account_id is not null;
