-- Revenue, costs, rates, and what was imported.
-- Amounts are whole numbers of the currency's minor unit (ISO 4217); a day is that of the source's own calendar.

-- Links that earn ----------------------------------------------------------------------------------

create table affiliate_links (
    code          text        primary key check (code ~ '^[a-z0-9][a-z0-9_-]{0,39}$'),
    url           text        not null,
    title         text        not null,
    disclosure    text        not null,
    network       text        not null default '',
    niche         text,
    platforms     text[]      not null default '{}',
    marker_param  text        not null default 'utm_content',
    discount_code text,
    paused        boolean     not null default false,
    created_at    timestamptz not null
);
comment on table affiliate_links is 'Links that are added to posts by rule, each with the words that disclose it.';
comment on column affiliate_links.niche is 'Added to posts of this niche; null: of every niche.';
comment on column affiliate_links.platforms is 'Added on these platforms alone; empty: on all.';
comment on column affiliate_links.marker_param is 'Parameter that carries the marker of the post: utm_content, or what the network calls its sub-id.';

-- Revenue ------------------------------------------------------------------------------------------

create table revenue_entries (
    entry_id      text        primary key,
    source        text        not null,
    source_key    text        not null,
    amount_minor  bigint      not null,
    currency      text        not null check (currency ~ '^[A-Z]{3}$'),
    earned_on     date        not null,
    item_id       text,
    post_id       text        references posts,
    platform      text,
    account_id    text,
    link_code     text,
    attributed_by text        not null default '',
    estimated     boolean     not null default false,
    note          text        not null default '',
    revision      integer     not null default 1,
    recorded_at   timestamptz not null,
    changed_at    timestamptz,
    unique (source, source_key)
);
comment on table revenue_entries is 'What was earned, one row per row of a source. Money that no source told of is not here.';
comment on column revenue_entries.source is 'youtube, shopify, csv:MAP, manual or legacy.';
comment on column revenue_entries.source_key is 'Names the row within its source, so that it is never taken twice.';
comment on column revenue_entries.attributed_by is 'How it is known for which post it was earned; empty: it is not.';
comment on column revenue_entries.estimated is 'The source may still correct it.';
create index revenue_item on revenue_entries (item_id) where item_id is not null;
create index revenue_post on revenue_entries (post_id) where post_id is not null;
create index revenue_day on revenue_entries (earned_on);

create table revenue_changes (
    entry_id     text        not null references revenue_entries,
    revision     integer     not null,
    amount_minor bigint      not null,
    currency     text        not null,
    earned_on    date        not null,
    item_id      text,
    post_id      text,
    estimated    boolean     not null,
    stood_until  timestamptz not null,
    primary key (entry_id, revision)
);
comment on table revenue_changes is 'What an entry said before its source corrected it.';

create table revenue_maps (
    name     text        primary key,
    map      jsonb       not null,
    saved_at timestamptz not null
);
comment on table revenue_maps is 'How the columns of a network''s CSV are to be read, by name.';

create table revenue_turns (
    source  text        not null,
    account text        not null,
    next_at timestamptz not null,
    because text        not null default '',
    mark    text        not null default '',
    read_at timestamptz,
    found   jsonb       not null default '{}',
    primary key (source, account)
);
comment on table revenue_turns is 'When a source is asked again. because: why it told nothing the last time.';
comment on column revenue_turns.mark is 'How far it was read, in the source''s own terms.';
comment on column revenue_turns.found is 'What the last reading came to, counts by name.';

create table exchange_rates (
    day         date        not null,
    currency    text        not null check (currency ~ '^[A-Z]{3}$'),
    per_euro    numeric     not null check (per_euro > 0),
    source      text        not null,
    imported_at timestamptz not null,
    primary key (currency, day)
);
comment on table exchange_rates is 'Units of a currency for one euro on a day, as the named source published them.';

-- Costs --------------------------------------------------------------------------------------------

create table prices (
    kind         text        not null check (kind in
        ('llm_input_tokens', 'llm_output_tokens', 'tts_characters', 'render_seconds', 'storage_byte_days')),
    name         text        not null default '',
    valid_from   date        not null,
    amount_minor bigint      not null check (amount_minor >= 0),
    currency     text        not null check (currency ~ '^[A-Z]{3}$'),
    per          bigint      not null check (per > 0),
    source       text        not null,
    imported_at  timestamptz not null,
    primary key (kind, name, valid_from)
);
comment on table prices is 'What a resource costs from a day on: amount_minor for `per` units of it.';
comment on column prices.name is 'Which one of its kind: a model, a voice, a machine; empty: any that has no price of its own.';

create table usages (
    usage_id text        primary key,
    item_id  text        not null,
    kind     text        not null,
    name     text        not null default '',
    amount   bigint      not null check (amount >= 0),
    used_at  timestamptz not null
);
comment on table usages is 'What an item used of a resource where nothing else that is stored tells it, such as tokens.';
create index usages_item on usages (item_id);

-- What was imported --------------------------------------------------------------------------------

create table legacy_records (
    kind        text        not null,
    old_id      text        not null,
    content     jsonb       not null,
    because     text        not null,
    imported_at timestamptz not null,
    primary key (kind, old_id)
);
comment on table legacy_records is 'Rows of a predecessor''s database that have no place among what works here: kept to be read.';

create table legacy_ids (
    kind   text not null,
    old_id text not null,
    new_id text not null,
    primary key (kind, old_id)
);
comment on table legacy_ids is 'What became of each row of a predecessor''s database: its id here.';

create index posts_marker on posts (('ett' || left(replace(post_id, '-', ''), 16)));
comment on index posts_marker is 'Posts by the marker that their links carry.';
