-- name: history :many
select observed_at, views from observations where item_id = $1 order by observed_at;

-- name: record_item :exec
-- A decision that stands keeps what was known when it was made; else the newest observation counts.
insert into items (item_id, correlation_id, origin, platform, title, url, niche, candidate, rights, score, reasons, decision)
values ($1, $2, 'scan', $3, $4, $5, $6, $7, $8, $9, $10, 'found')
on conflict (item_id) do update set
    title = excluded.title,
    url = excluded.url,
    niche = excluded.niche,
    candidate = excluded.candidate,
    rights = excluded.rights,
    score = excluded.score,
    reasons = excluded.reasons
where items.decision in ('found', 'passed')
  and (items.candidate ->> 'observed_at')::timestamptz <= (excluded.candidate ->> 'observed_at')::timestamptz;

-- name: record_observation :exec
insert into observations (item_id, observed_at, views, likes, comments, shares)
values ($1, $2, $3, $4, $5, $6)
on conflict do nothing;

-- name: record_sighting :exec
insert into sightings (scan_id, item_id, score, reasons, destination)
values ($1, $2, $3, $4, $5)
on conflict do nothing;

-- name: count_in :one
-- Notes that a scan is complete, how many of its candidates are recorded, and how often in a row no more had come.
insert into scans (scan_id, correlation_id, niche, found, failed, recorded)
select $1, $2, $3, $4, $5, count(*)::int from sightings where scan_id = $1
on conflict (scan_id) do update set
    waits = case when excluded.recorded > scans.recorded then 0 else scans.waits + 1 end,
    recorded = excluded.recorded
returning recorded, waits, settled_at is not null as settled;

-- name: claim_scan :val
-- Locks the scan until the transaction ends; no row: it is settled.
select scan_id from scans where scan_id = $1 and settled_at is null for update;

-- name: contenders :many
-- Locks the items, always in the same order, so that two scans never choose the same one.
select i.item_id, s.score, s.reasons, s.destination, i.decision, i.rights, i.candidate
from sightings s join items i using (item_id)
where s.scan_id = $1
order by i.item_id
for update of i;

-- name: select_item :exec
update items set
    decision = 'selected', decided_because = $2, decided_at = $3, correlation_id = $4, niche = $5,
    score = $6, reasons = $7, destination = $8
where item_id = $1;

-- name: pass_item :exec
update items set decision = 'passed', decided_because = $2, decided_at = $3
where item_id = $1 and decision in ('found', 'passed');

-- name: close_sighting :exec
update sightings set outcome = $3, because = $4 where scan_id = $1 and item_id = $2;

-- name: settle_scan :exec
update scans set settled_at = $2, because = $3 where scan_id = $1;
