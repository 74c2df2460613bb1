-- Money: entries and their corrections, rates, prices, links, and what is worked out of them.

-- name: take_turn :exec  Writers of one source take turns, so that no correction misses what stood before it
select pg_advisory_xact_lock(hashtextextended('revenue.' || name, 0))
from (select distinct unnest($1::text[]) as name order by name) names;

-- name: put_entries :many  Only what is new or says something else; what it said before goes to revenue_changes
with given as (
    select * from unnest(
        $1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::date[], $7::text[], $8::text[], $9::text[],
        $10::text[], $11::text[], $12::text[], $13::boolean[], $14::text[]
    ) as g (entry_id, source, source_key, amount_minor, currency, earned_on, item_id, post_id, platform, account_id,
            link_code, attributed_by, estimated, note)
), before as (
    select e.* from revenue_entries e join given g using (entry_id)
    where (e.amount_minor, e.currency, e.earned_on, e.item_id, e.post_id, e.platform, e.link_code, e.estimated, e.note)
        is distinct from
        (g.amount_minor, g.currency, g.earned_on, g.item_id, g.post_id, g.platform, g.link_code, g.estimated, g.note)
), kept as (
    insert into revenue_changes (entry_id, revision, amount_minor, currency, earned_on, item_id, post_id, estimated,
                                 stood_until)
    select entry_id, revision, amount_minor, currency, earned_on, item_id, post_id, estimated, $15 from before
    on conflict do nothing
)
insert into revenue_entries as e (
    entry_id, source, source_key, amount_minor, currency, earned_on, item_id, post_id, platform, account_id, link_code,
    attributed_by, estimated, note, recorded_at
)
select entry_id, source, source_key, amount_minor, currency, earned_on, item_id, post_id, platform, account_id, link_code,
       attributed_by, estimated, note, $15
from given order by entry_id
on conflict (entry_id) do update
set amount_minor = excluded.amount_minor, currency = excluded.currency, earned_on = excluded.earned_on,
    item_id = excluded.item_id, post_id = excluded.post_id, platform = excluded.platform,
    account_id = excluded.account_id, link_code = excluded.link_code, attributed_by = excluded.attributed_by,
    estimated = excluded.estimated, note = excluded.note, revision = e.revision + 1, changed_at = $15
where (e.amount_minor, e.currency, e.earned_on, e.item_id, e.post_id, e.platform, e.link_code, e.estimated, e.note)
    is distinct from
    (excluded.amount_minor, excluded.currency, excluded.earned_on, excluded.item_id, excluded.post_id,
     excluded.platform, excluded.link_code, excluded.estimated, excluded.note)
returning e.entry_id, e.revision;

-- name: entry_of :one
select entry_id, amount_minor, currency, earned_on, note from revenue_entries where entry_id = $1;

-- Rates and prices ---------------------------------------------------------------------------------

-- name: put_rates :many  Those that are new or say something else
insert into exchange_rates as r (day, currency, per_euro, source, imported_at)
select g.day, g.currency, g.per_euro, $4, $5
from unnest($1::date[], $2::text[], $3::numeric[]) as g (day, currency, per_euro)
on conflict (currency, day) do update
set per_euro = excluded.per_euro, source = excluded.source, imported_at = excluded.imported_at
where r.per_euro <> excluded.per_euro
returning xmax = 0 as new;

-- name: rates_between :many
select day, currency, per_euro from exchange_rates where day between $1 and $2 and currency = any($3::text[]);

-- name: put_prices :many  Those that are new or say something else
insert into prices as p (kind, name, valid_from, amount_minor, currency, per, source, imported_at)
select g.*, $8 from unnest($1::text[], $2::text[], $3::date[], $4::bigint[], $5::text[], $6::bigint[], $7::text[]) as g
on conflict (kind, name, valid_from) do update
set amount_minor = excluded.amount_minor, currency = excluded.currency, per = excluded.per, source = excluded.source,
    imported_at = excluded.imported_at
where (p.amount_minor, p.currency, p.per) is distinct from (excluded.amount_minor, excluded.currency, excluded.per)
returning xmax = 0 as new;

-- name: all_prices :many
select kind, name, valid_from, amount_minor, currency, per, source from prices order by kind, name, valid_from;

-- Attribution --------------------------------------------------------------------------------------

-- name: marked_posts :many  Posts by the marker that their links carry
select 'ett' || left(replace(post_id, '-', ''), 16) as marker, post_id, item_id, platform, account_id
from posts where 'ett' || left(replace(post_id, '-', ''), 16) = any($1::text[]);

-- name: named_posts :many  Posts by their id here or on their platform
select post_id, item_id, platform, account_id, platform_post_id, url from posts
where post_id = any($1::text[]) or platform_post_id = any($1::text[]) or url = any($1::text[]);

-- name: known_items :many
select item_id from items where item_id = any($1::text[]) union select item_id from posts where item_id = any($1::text[]);

-- name: all_links :many
select code, url, title, disclosure, network, niche, platforms, marker_param, discount_code, paused, created_at
from affiliate_links order by code;

-- name: put_link :val  True: it is new
insert into affiliate_links as l (code, url, title, disclosure, network, niche, platforms, marker_param, discount_code,
                                  paused, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, false, $10)
on conflict (code) do update
set url = excluded.url, title = excluded.title, disclosure = excluded.disclosure, network = excluded.network,
    niche = excluded.niche, platforms = excluded.platforms, marker_param = excluded.marker_param,
    discount_code = excluded.discount_code, paused = false
returning xmax = 0;

-- name: pause_link :val
update affiliate_links set paused = $2 where code = $1 returning code;

-- Maps and turns -----------------------------------------------------------------------------------

-- name: put_map :exec
insert into revenue_maps (name, map, saved_at) values ($1, $2, $3)
on conflict (name) do update set map = excluded.map, saved_at = excluded.saved_at;

-- name: find_map :val
select map from revenue_maps where name = $1;

-- name: all_maps :many
select name, map from revenue_maps order by name;

-- name: turn_of :one
select next_at, mark from revenue_turns where source = $1 and account = $2;

-- name: put_turn :exec  Null found: nothing was read, and what was read before stays
insert into revenue_turns (source, account, next_at, because, mark, read_at, found)
values ($1, $2, $3, $4, $5, case when $6::jsonb is null then null else $7::timestamptz end, coalesce($6, '{}'))
on conflict (source, account) do update
set next_at = excluded.next_at, because = excluded.because, mark = excluded.mark,
    read_at = coalesce(excluded.read_at, revenue_turns.read_at),
    found = case when $6::jsonb is null then revenue_turns.found else excluded.found end;

-- name: all_turns :many
select source, account, next_at, because, read_at, found from revenue_turns order by source, account;

-- name: youtube_accounts :many
select account_id, scopes, state from accounts where platform = 'youtube' and state = 'connected' order by account_id;

-- name: youtube_posts :many
select post_id, item_id, platform_post_id, published_at,
       exists (select from revenue_entries e where e.post_id = posts.post_id and e.source = 'youtube') as is_read
from posts
where platform = 'youtube' and account_id = $1 and platform_post_id is not null and published_at is not null
order by published_at, post_id;

-- Profit and loss ----------------------------------------------------------------------------------

-- name: earned :many  Sums by item, place, day and currency
select item_id, platform, account_id, earned_on, currency, sum(amount_minor)::bigint as minor, count(*) as entries,
       bool_or(estimated) as estimated
from revenue_entries
where ($1::text is null or item_id = $1)
group by item_id, platform, account_id, earned_on, currency
order by 1, 2, 3, 4, 5;

-- name: used :many  What items used of resources, by the day it was used. Item empty: works that were never chosen
select item_id, 'render_seconds' as kind, '' as name, started_at::date as day,
       round(extract(epoch from finished_at - started_at))::bigint as amount, false as of_vote
from renditions where finished_at is not null and rendition is not null and ($1::text is null or item_id = $1)
union all
select item_id, 'storage_byte_days', '', stored_at::date,
       size_bytes * greatest(0, $2::date - stored_at::date), false
from (
    select item_id, size_bytes, created_at as stored_at from assets
    union all
    select item_id, (rendition ->> 'size_bytes')::bigint, finished_at from renditions
    where rendition is not null and finished_at is not null
) stored
where ($1::text is null or item_id = $1)
union all
select case when $1::text is null and i.decision in ('found', 'passed') then '' else u.item_id end, u.kind, u.name,
       u.used_at::date, sum(u.amount)::bigint, u.usage_id like 'vote/%'
from usages u left join items i using (item_id)
where ($1::text is null or u.item_id = $1)
group by 1, 2, 3, 4, 6;

-- name: narrated :many  Texts that a synthetic voice spoke
select item_id, cues, created_at::date as day from transcripts
where origin = 'narrated' and ($1::text is null or item_id = $1);

-- name: written_by :many  Models that wrote for an item
select item_id, model, written_at::date as day from written_texts where ($1::text is null or item_id = $1);

-- name: seen :many  Newest known views of each post
select distinct on (p.post_id) p.post_id, p.item_id, p.platform, p.account_id, m.views, m.measured_at
from measurements m join posts p using (post_id)
where m.views is not null and ($1::text is null or p.item_id = $1)
order by p.post_id, m.bucket desc;

-- name: posted :many  With whether people can see it by that day
select p.post_id, p.item_id, p.platform, p.account_id, p.published_at::date as day,
       coalesce(i.title, p.draft ->> 'title', '') as title, coalesce(p.shown_at::date <= $2, true) as shown
from posts p left join items i using (item_id)
where p.published_at is not null and ($1::text is null or p.item_id = $1);

-- name: standing_entries :many  Those with money in them
select source_key, currency, earned_on, item_id, post_id, platform, account_id, link_code, attributed_by, estimated, note
from revenue_entries where entry_id = any($1::text[]) and amount_minor <> 0;

-- name: known_entries :many
select entry_id from revenue_entries where entry_id = any($1::text[]);

-- name: set_mark :exec
update revenue_turns set mark = $3 where source = $1 and account = $2;
