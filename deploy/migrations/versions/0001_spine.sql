-- The spine: ledger, items, media, accounts, posts, measurements.
-- Times are timestamptz; media times are bigint microseconds; JSON columns hold contracts/ structs.

-- Ledger -------------------------------------------------------------------------------------------

create table inbox (
    consumer    text        not null,
    event_id    text        not null,
    outcome     text        not null check (outcome in ('done', 'rejected', 'dead')),
    handled_at  timestamptz not null default now(),
    primary key (consumer, event_id)
);
comment on table inbox is 'One row per event that a consumer has finished with: it is never handled again.';

create table outbox (
    id           bigint generated always as identity primary key,
    sender       text        not null,
    message_id   text        not null unique,
    subject      text        not null,
    correlation_id text      not null default '',
    payload      bytea       not null,
    created_at   timestamptz not null default now(),
    published_at timestamptz
);
comment on column outbox.message_id is 'Sent as Nats-Msg-Id: the event id, or event id and a mark when a dead letter is retried.';
comment on table outbox is 'Events that a committed transaction gives; the relay of the sender publishes them in order.';
create index outbox_correlation on outbox (correlation_id);
create index outbox_waiting on outbox (sender, id) where published_at is null;

create function outbox_wake() returns trigger language plpgsql as $$
begin
    perform pg_notify('outbox_' || new.sender, '');
    return null;
end $$;
create trigger outbox_wake after insert on outbox for each row execute function outbox_wake();

create table leases (
    name       text        primary key,
    holder     text        not null,
    fence      bigint      not null,
    expires_at timestamptz not null
);
comment on table leases is 'Who does a piece of long work. The fence grows with every taking; a commit with an old fence fails.';

create table attempts (
    consumer   text        not null,
    event_id   text        not null,
    failures   integer     not null default 0,
    unsettled  integer     not null default 0,
    last_error text        not null default '',
    updated_at timestamptz not null default now(),
    primary key (consumer, event_id)
);
comment on table attempts is 'Trouble with an event that is still being retried: failures, and deliveries cut off without an answer.';

create table dead_letters (
    id          bigint generated always as identity primary key,
    kind        text        not null check (kind in ('rejected', 'dead')),
    consumer    text        not null,
    event_id    text        not null,
    correlation_id text     not null default '',
    item_id     text,
    subject     text        not null,
    payload     bytea       not null,
    error       text        not null,
    trace       text        not null default '',
    failures    integer     not null,
    state       text        not null default 'open' check (state in ('open', 'retried', 'dropped')),
    created_at  timestamptz not null default now(),
    settled_at  timestamptz
);
comment on table dead_letters is 'Events that ended without success: rejected for a stated reason, or dead after too many failures.';
create unique index dead_letters_open on dead_letters (consumer, event_id) where state = 'open';

-- Items --------------------------------------------------------------------------------------------

create table items (
    item_id        text        primary key,
    correlation_id text        not null,
    origin         text        not null check (origin in ('scan', 'import')),
    platform       text,
    title          text        not null,
    url            text,
    niche          text,
    candidate      jsonb,
    rights         jsonb       not null,
    score          double precision,
    reasons        jsonb,
    decision       text        not null check (decision in ('found', 'selected', 'passed', 'imported')),
    decided_because text       not null default '',
    destination    jsonb,
    first_seen_at  timestamptz not null default now(),
    decided_at     timestamptz
);
comment on table items is 'One row per work: a candidate that a scan saw, or an import.';
create index items_correlation on items (correlation_id);

create table observations (
    item_id     text        not null references items,
    observed_at timestamptz not null,
    views       bigint,
    likes       bigint,
    comments    bigint,
    shares      bigint,
    primary key (item_id, observed_at)
);
comment on table observations is 'Each sighting of a candidate with its counts; null is not known.';

create table scans (
    scan_id        text        primary key,
    correlation_id text        not null,
    niche          text        not null,
    found          integer     not null,
    failed         jsonb       not null default '{}',
    recorded       integer     not null,
    waits          integer     not null default 0,
    because        text        not null default '',
    completed_at   timestamptz not null default now(),
    settled_at     timestamptz
);
comment on table scans is 'One row per finished scan (its id is that of scan.requested). because says what was chosen, or why nothing was.';
comment on column scans.waits is 'Times in a row that the choice waited for candidates still under way and none had come.';

create table sightings (
    scan_id     text             not null,
    item_id     text             not null references items,
    score       double precision not null,
    reasons     jsonb            not null,
    destination jsonb,
    outcome     text             check (outcome in ('selected', 'passed', 'refused', 'known')),
    because     text             not null default '',
    seen_at     timestamptz      not null default now(),
    primary key (scan_id, item_id)
);
comment on table sightings is 'Each candidate of each scan with its score for that niche; outcome is null until the scan is settled.';

create table assets (
    item_id    text        not null references items,
    role       text        not null check (role in ('source', 'voice')),
    key        text        not null,
    sha256     text        not null,
    size_bytes bigint      not null,
    probe      jsonb,
    rights     jsonb       not null,
    created_at timestamptz not null default now(),
    primary key (item_id, role)
);
comment on table assets is 'Stored media of an item.';

create table transcripts (
    item_id    text        primary key references items,
    origin     text        not null check (origin in ('subtitles', 'aligned', 'narrated', 'transcribed')),
    cues       jsonb       not null,
    created_at timestamptz not null default now()
);
comment on table transcripts is 'The words that are shown. What was transcribed is asked for once; no cues: nothing was said.';

create table written_texts (
    item_id    text        primary key references items,
    asked      text        not null,
    model      text        not null,
    said       jsonb       not null,
    written_at timestamptz not null default now()
);
comment on table written_texts is 'What a language model wrote for an item, so that later deliveries say the same.';
comment on column written_texts.asked is 'SHA-256 of what the model was told of the item, hex: other words are written anew.';

create table renditions (
    plan_id      text        primary key,
    item_id      text        not null references items,
    plan         jsonb       not null,
    rendition    jsonb,
    asked        jsonb,
    asked_by     text,
    join_event   text,
    started_at   timestamptz not null default now(),
    told_at      timestamptz,
    frames_done  integer     not null default 0,
    frames_total integer,
    eta_s        double precision,
    eta_because  text        not null default 'it has not begun',
    finished_at  timestamptz
);
comment on table renditions is 'One row per render plan; rendition is null until the file is stored and checked.';
comment on column renditions.asked is 'What render.completed repeats of the request; null: the plan is not rendered in chunk jobs.';
comment on column renditions.asked_by is 'The render.requested whose chunk jobs are under way.';
comment on column renditions.told_at is 'When progress was last told; eta_s is of that moment, or null because of eta_because.';
create index renditions_item on renditions (item_id);

create table render_chunks (
    plan_id     text        not null references renditions on delete cascade,
    index       integer     not null check (index >= -1),
    key         text        not null,
    frames      integer     not null,
    state       text        not null default 'waiting' check (state in ('waiting', 'working', 'done', 'stopped')),
    frames_done integer     not null default 0,
    rounds      integer     not null default 0,
    event_id    text,
    renders     integer     not null default 0,
    started_at  timestamptz,
    seen_at     timestamptz,
    primary key (plan_id, index)
);
comment on table render_chunks is 'The parts of a render: chunks of frames, and the sound (index -1, no frames).';
comment on column render_chunks.key is 'SHA-256 of everything that decides the bytes of the part.';
comment on column render_chunks.event_id is 'The chunk.requested that is valid, the rounds-th; null: rendered by who took the whole plan.';
comment on column render_chunks.renders is 'How often a render of it began; more than once: a renderer died, or the file was lost.';
comment on column render_chunks.started_at is 'Begin of its render; null: its file was there already.';
create index render_chunks_key on render_chunks (key);

create table chunk_files (
    key        text        primary key,
    object_key text        not null,
    sha256     text,
    size_bytes bigint,
    used_at    timestamptz not null default now()
);
comment on table chunk_files is 'Files of parts, kept for plans that share them. The row comes before the file, so that no file is forgotten.';
comment on column chunk_files.sha256 is 'SHA-256 of the file; null: it is being made.';
create index chunk_files_used on chunk_files (used_at);

-- Accounts and posts -------------------------------------------------------------------------------

create table accounts (
    account_id   text        primary key,
    platform     text        not null,
    title        text        not null,
    state        text        not null check (state in ('connected', 'reconnect_needed', 'disconnected')),
    state_because text       not null default '',
    tokens       bytea,
    scopes       text[]      not null default '{}',
    expires_at   timestamptz,
    connected_at timestamptz not null default now(),
    refreshed_at timestamptz
);
comment on column accounts.tokens is 'Encrypted JSON of the access and refresh token.';

create table oauth_states (
    state      text        primary key,
    platform   text        not null,
    verifier   bytea       not null,
    created_at timestamptz not null default now()
);
comment on table oauth_states is 'Authorisations under way; the verifier is encrypted. Rows older than ten minutes are dead.';

create table posts (
    post_id          text        primary key,
    item_id          text        not null,
    platform         text        not null,
    account_id       text        references accounts,
    state            text        not null check (state in
        ('waiting', 'claimed', 'uploading', 'published', 'unconfirmed', 'failed')),
    because          text        not null default '',
    next_action      text        not null default '',
    draft            jsonb       not null,
    object_key       text        not null,
    size_bytes       bigint      not null,
    session          bytea,
    platform_post_id text,
    url              text,
    privacy          text,
    correlation_id   text        not null,
    request          jsonb       not null,
    intent_at        timestamptz not null default now(),
    session_at       timestamptz,
    published_at     timestamptz,
    updated_at       timestamptz not null default now(),
    unique (item_id, platform)
);
comment on table posts is 'Intent first: the row exists before the first outside call. session is an encrypted checkpoint.';
create unique index posts_remote on posts (platform, platform_post_id) where platform_post_id is not null;

create table measure_schedule (
    post_id text        not null references posts,
    bucket  integer     not null,
    due_at  timestamptz not null,
    primary key (post_id, bucket)
);
comment on table measure_schedule is 'Snapshots still to be taken; a row goes when its measurement is stored.';
create index measure_due on measure_schedule (due_at);

create table measurements (
    post_id     text        not null references posts,
    bucket      integer     not null,
    measured_at timestamptz not null,
    age_s       bigint      not null,
    views       bigint,
    likes       bigint,
    comments    bigint,
    shares      bigint,
    absent      jsonb       not null default '{}',
    primary key (post_id, bucket)
);

create table quota (
    platform   text    not null,
    bucket     text    not null,
    day        date    not null,
    used       integer not null,
    primary key (platform, bucket, day)
);
comment on table quota is 'Calls spent per quota bucket and the platform''s own day.';
