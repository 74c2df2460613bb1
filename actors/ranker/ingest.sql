-- name: lock_works :exec
-- Whoever holds it is alone with marks and work_keys until its transaction ends. Batches are sorted in memory.
select pg_advisory_xact_lock(7301), set_config('work_mem', '64MB', true);

-- name: known :many
select i.item_id, i.item_no, m.work_id, m.link, m.recent
from items i left join marks m using (item_no)
where i.item_id = any($1::text[]);

-- name: take_numbers :val
-- As many numbers for new items, ascending; whoever takes some at the same time gets others.
select array_agg(nextval(pg_get_serial_sequence('items', 'item_no'))) from generate_series(1, $1::int);

-- name: put_items :many
-- A decision that stands keeps what was known when it was made. What a scan scored stands above what a file tells of
-- it; among equals the newest observation counts.
insert into items (item_id, correlation_id, origin, platform, title, url, niche, candidate, rights, score, reasons, decision)
select item_id, correlation_id, 'scan', candidate ->> 'platform', candidate ->> 'title', candidate ->> 'url', niche,
    candidate, candidate -> 'rights', score, reasons, 'found'
from (
    select item_id, correlation_id, niche, score, candidate::jsonb as candidate, reasons::jsonb as reasons
    from unnest($1::text[], $2::text[], $3::text[], $4::float8[], $5::text[], $6::text[])
        as given (item_id, correlation_id, niche, score, candidate, reasons)
    offset 0  -- so that the JSON is parsed once
) given
on conflict (item_id) do update set
    title = excluded.title,
    url = excluded.url,
    niche = coalesce(nullif(excluded.niche, ''), items.niche),
    candidate = excluded.candidate,
    rights = excluded.rights,
    score = coalesce(excluded.score, items.score),
    reasons = coalesce(excluded.reasons, items.reasons)
where items.decision in ('found', 'passed')
  and (excluded.score is not null or (items.score is null and items.candidate <> excluded.candidate))
  and (
    (items.score is null and excluded.score is not null)
    or (items.candidate ->> 'observed_at')::timestamptz <= (excluded.candidate ->> 'observed_at')::timestamptz
  )
returning item_id, item_no;

-- name: last_counts :many
-- The newest observations of each item, at most $2 of each.
select given.item_no, c.observed_at, c.views, c.likes, c.comments, c.shares
from unnest($1::bigint[]) as given (item_no)
cross join lateral (
    select * from counts where counts.item_no = given.item_no order by observed_at desc limit $2
) c;

-- name: put_counts :exec
insert into counts (item_no, observed_at, views, likes, comments, shares)
select * from unnest($1::bigint[], $2::timestamptz[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
on conflict do nothing;

-- name: touch_marks :exec
update marks m set seen_at = given.seen_at, recent = given.recent
from unnest($1::bigint[], $2::timestamptz[], $3::bytea[]) as given (item_no, seen_at, recent)
where m.item_no = given.item_no;

-- name: put_link :exec
update marks set link = $2, because = case when $3 = '' then because else $3 end where item_no = $1;

-- name: put_because :exec
update marks set because = $2 where item_no = $1;

-- name: move_marks :exec
update marks m set work_id = given.kept
from unnest($1::bigint[], $2::bigint[]) as given (lost, kept)
where m.work_id = given.lost;

-- name: unmarked :many
-- What was decided without passing here: imports, and selections by event.
select i.item_id, i.title, i.url, i.candidate
from items i
where i.decision in ('selected', 'imported') and not exists (select from marks m where m.item_no = i.item_no)
order by i.item_no;

-- name: freshest :one
-- The items that were observed last, newest first, in columns; numbers as big-endian bytes.
select
    array_agg(item_id) as item_ids,
    array_agg(platform) as platforms,
    string_agg(int8send(work_id), '') as work_ids,
    string_agg(float8send(coalesce(extract(epoch from published_at)::float8, 'NaN')), '') as published_s,
    string_agg(int4send(octet_length(recent)), '') as lengths,
    string_agg(recent, '') as recent
from (
    select item_id, platform, work_id, published_at, recent
    from marks where seen_at is not null
    order by seen_at desc, item_no desc limit $1
) fresh;

-- name: undecided :many
-- Of what was seen lately: items with a thumbnail that nobody looked at and with a namesake of nearly the same length
-- in another work, where a picture may decide.
select m.item_no, m.item_id, i.candidate
from marks m join items i using (item_no)
where m.seen_at > $1 and m.looked_at is null and m.title_key is not null and m.duration_us is not null
  and i.candidate ->> 'thumbnail_url' is not null
  and exists (
    select from marks o
    where o.title_key = m.title_key and o.work_id <> m.work_id
      and o.duration_us between m.duration_us - 3000000 and m.duration_us + 3000000
  )
order by m.seen_at desc, m.item_no desc limit $2;

-- name: put_picture :exec
update marks set picture = $2, looked_at = $3 where item_no = $1;

-- name: looking :val  True: this transaction looks at thumbnails; false: another does just now
select pg_try_advisory_xact_lock(7302);
