-- name: history :many
select c.observed_at, c.views, c.likes, c.comments, c.shares
from counts c join items i using (item_no)
where i.item_id = $1 order by c.observed_at;

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
-- others: further items of the work, less those published later and those of the same creator. What is not known
-- excuses none.
select i.item_id, s.score, s.reasons, s.destination, i.decision, i.rights, i.candidate, taken.taken_as, others
from sightings s join items i using (item_id) left join marks m using (item_no)
left join lateral (
    select o.item_id as taken_as from marks n join items o using (item_no)
    where n.work_id = m.work_id and o.decision in ('selected', 'imported')
    order by o.decided_at, o.item_no limit 1
) taken on true
cross join lateral (
    select coalesce(jsonb_agg(jsonb_build_object(
        'item_id', o.item_id, 'rights', o.rights, 'url', o.url, 'link', n.link,
        'certain', (n.published_at < m.published_at and n.creator_key <> m.creator_key) is true
    ) order by n.published_at, n.item_no), '[]') as others
    from marks n join items o using (item_no)
    where n.work_id = m.work_id and n.item_no <> m.item_no
      and (n.published_at > m.published_at) is not true and (n.creator_key = m.creator_key) is not true
) precedents
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

-- name: to_vote_on :many
-- The best works of a scan, with what a language model is told of them.
select i.item_id, i.candidate from sightings s join items i using (item_id)
where s.scan_id = $1 and i.decision in ('found', 'passed')
order by s.score desc, i.item_id
limit $2;

-- name: score_sighting :exec
update sightings set score = $3, reasons = $4 where scan_id = $1 and item_id = $2;

-- name: take_chore :val
-- Take work, or note it as done: done_at becomes $2 where it was due by $2 - $3; null: it is not due.
insert into chores (name, done_at) values ($1, $2)
on conflict (name) do update set done_at = excluded.done_at where chores.done_at <= $2 - $3::interval
returning name;
