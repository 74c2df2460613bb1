-- Watched niches, their turns at rationed platforms, topics, proposals.

create table niches (
    name             text        primary key check (length(name) between 1 and 200),
    platforms        text[]      not null default '{}',
    every_s          integer     not null check (every_s >= 900),
    candidates       integer     not null default 25 check (candidates between 1 and 500),
    next_at          timestamptz not null,
    paused           boolean     not null default false,
    destination      jsonb,
    why              text        not null default '',
    proposed_by      text,
    scan_id          text,
    scanned_at       timestamptz,
    movement         double precision,
    movement_because text        not null default '',
    words            text[]      not null default '{}',
    related_at       timestamptz,
    created_at       timestamptz not null
);
comment on table niches is 'What is scanned on a schedule. next_at moves on in the transaction that asks for the scan.';
comment on column niches.platforms is 'Sources that a person named; empty: every platform whose needs are met.';
comment on column niches.proposed_by is 'words, topics or the name of a judge where nobody accepted it by hand; null: a person.';
comment on column niches.scan_id is 'The scan.requested that the schedule gave last.';
comment on column niches.movement is 'How much its last scans moved, smoothed; null: not known yet.';
comment on column niches.words is 'Words and tags that many works of its last scan share, the most frequent first.';
create index niches_due on niches (next_at) where not paused;

create table niche_turns (
    niche     text        not null references niches on delete cascade,
    platform  text        not null,
    asked_at  timestamptz not null,
    begins_at timestamptz not null,
    asks      integer     not null,
    scan_id   text        not null,
    primary key (niche, platform)
);
comment on table niche_turns is 'When a niche last had its turn at a rationed platform, and how often in that window of the quota.';

create table niche_seen (
    niche   text        not null references niches on delete cascade,
    item_id text        not null,
    views   bigint,
    seen_at timestamptz not null,
    primary key (niche, item_id)
);
comment on table niche_seen is 'The last sighting of each work by a watched niche: what its movement is measured from.';

create table scans_later (
    niche          text        not null,
    platform       text        not null,
    candidates     integer     not null,
    destination    jsonb,
    correlation_id text        not null,
    due_at         timestamptz not null,
    because        text        not null,
    primary key (niche, platform)
);
comment on table scans_later is 'Platforms that were limited when a scan asked them: each is asked again alone, at due_at.';
create index scans_later_due on scans_later (due_at);

create table topics (
    platform      text        not null,
    region        text        not null default '',
    name          text        not null,
    url           text,
    volume        bigint,
    unit          text        not null default '',
    growth        double precision,
    related       text[]      not null default '{}',
    started_at    timestamptz,
    first_seen_at timestamptz not null,
    observed_at   timestamptz not null,
    primary key (platform, region, name)
);
comment on table topics is 'What many people look for: the newest observation of each, and when it was first seen.';
create index topics_first_seen on topics (first_seen_at);

create table trend_turns (
    platform text        primary key,
    next_at  timestamptz not null,
    because  text        not null default ''
);
comment on table trend_turns is 'When a platform is asked for topics again. because: why the last time gave none.';

create table niche_proposals (
    name        text             primary key,
    near        text             not null,
    reason      text             not null,
    proposed_by text             not null,
    score       double precision not null,
    state       text             not null default 'open' check (state in ('open', 'accepted', 'refused')),
    created_at  timestamptz      not null,
    decided_at  timestamptz
);
comment on table niche_proposals is 'Niches that might be worth watching, each with its reason. Nothing is scanned of them.';
