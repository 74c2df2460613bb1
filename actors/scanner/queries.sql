-- Watched niches: the schedule, the turns, what was seen, topics, proposals.

-- name: due_niches :many  The longest overdue first
select name, next_at from niches where next_at <= $1 and not paused order by next_at limit $2;

-- name: hold_niche :one  Null: another replica has it, or it is no longer due then
select name, platforms, every_s, candidates, destination from niches
where name = $1 and next_at = $2 and not paused for update skip locked;

-- name: move_on :exec
update niches set next_at = $2, scan_id = $3 where name = $1;

-- name: watched :one
select next_at, paused from niches where name = $1;

-- name: connected_platforms :many
select distinct platform from accounts where state = 'connected';

-- name: hold_ration :exec  One replica plans the turns of a platform at a time, until its transaction ends
select pg_advisory_xact_lock(hashtextextended('scanner.ration.' || $1::text, 0));

-- name: standings :many  Every niche that a platform is asked for; turns of another window count as none
select n.name as niche, n.movement, t.asked_at, n.next_at as wanted_at, n.every_s,
       case when t.begins_at = $2 then t.asks else 0 end as asks, coalesce(t.scan_id, '') as scan_id
from niches n left join niche_turns t on t.niche = n.name and t.platform = $1
where not n.paused
  and (n.platforms = '{}' or exists (select from unnest(n.platforms) as s where split_part(s, ':', 1) = $1))
order by n.name;

-- name: take_turn :exec
insert into niche_turns (niche, platform, asked_at, begins_at, asks, scan_id) values ($1, $2, $3, $4, 1, $5)
on conflict (niche, platform) do update set
    asked_at = excluded.asked_at,
    begins_at = excluded.begins_at,
    asks = case when niche_turns.begins_at = excluded.begins_at then niche_turns.asks + 1 else 1 end,
    scan_id = excluded.scan_id;

-- name: give_back_turn :exec  A limit kept the turn from being used: the niche waits for its turn again
update niche_turns set asks = asks - 1, scan_id = '' where niche = $1 and platform = $2 and scan_id = $3;

-- name: seen_before :many
select item_id, views, seen_at from niche_seen where niche = $1 and item_id = any($2::text[]);

-- name: seen_platforms :many
select distinct split_part(item_id, ':', 1) as platform from niche_seen where niche = $1;

-- name: note_seen :exec
insert into niche_seen (niche, item_id, views, seen_at)
select $1, s.item_id, s.views, s.seen_at
from unnest($2::text[], $3::bigint[], $4::timestamptz[]) as s (item_id, views, seen_at)
order by s.item_id
on conflict (niche, item_id) do update set views = excluded.views, seen_at = excluded.seen_at;

-- name: forget_seen :exec
delete from niche_seen where niche = $1 and seen_at < $2;

-- name: hold_watched :one  Locks the niche until the scan is stored; null: it is watched no more
select scanned_at, movement from niches where name = $1 for update;

-- name: note_scan :exec
update niches set scanned_at = $2, movement = $3, movement_because = $4, words = $5 where name = $1;

-- name: put_off :exec  A platform that waits already keeps its time
insert into scans_later (niche, platform, candidates, destination, correlation_id, due_at, because)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (niche, platform) do nothing;

-- name: answered :exec  What waits to be asked again has been
delete from scans_later where niche = $1 and platform = any($2::text[]);

-- name: due_later :many  What waits for a paused niche goes on waiting
select l.niche, l.platform, l.due_at, l.correlation_id, n.name is not null as watched
from scans_later l left join niches n on n.name = l.niche
where l.due_at <= $1 and n.paused is not true order by l.due_at limit $2;

-- name: end_later :many  What could not be asked again for so long is given up
delete from scans_later where due_at < $1 returning niche, platform, because;

-- name: take_later :one  Null: another replica has it, or it was answered meanwhile
delete from scans_later where ctid = (
    select ctid from scans_later where niche = $1 and platform = $2 and due_at = $3 for update skip locked
) returning candidates, destination;

-- name: plan_trends :exec  A platform that is new to the schedule is due at once
insert into trend_turns (platform, next_at) select unnest($1::text[]), $2 on conflict do nothing;

-- name: claim_trends :many  Claimed for as long as asking may take; a replica that dies leaves it due again
update trend_turns set next_at = $2 where platform in (
    select platform from trend_turns where platform = any($3::text[]) and next_at <= $1 for update skip locked
) returning platform;

-- name: trends_asked :exec
update trend_turns set next_at = $2, because = $3 where platform = $1;

-- name: note_topic :exec  Counts and time of the newest observation; first_seen_at stays
insert into topics (platform, region, name, url, volume, unit, growth, related, started_at, first_seen_at, observed_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
on conflict (platform, region, name) do update set
    url = excluded.url, volume = excluded.volume, unit = excluded.unit, growth = excluded.growth,
    related = excluded.related, started_at = excluded.started_at, observed_at = excluded.observed_at
where topics.observed_at <= excluded.observed_at;

-- name: forget_topics :exec
delete from topics where observed_at < $1;

-- name: topics_since :many  Newest first
select platform, region, name, url, volume, unit, growth, related, started_at, first_seen_at, observed_at from topics
where observed_at >= $1 order by first_seen_at desc, platform, name limit $2;

-- name: propose :exec  What a person decided on stays decided, what is watched is not proposed; under hold_proposals
with known as (
    update niche_proposals set near = $2, reason = $3, proposed_by = $4, score = $5, created_at = $6
    where lower(name) = lower($1) and state = 'open'
)
insert into niche_proposals (name, near, reason, proposed_by, score, created_at)
select $1, $2, $3, $4, $5, $6
where not exists (select from niches where lower(name) = lower($1))
  and not exists (select from niche_proposals where lower(name) = lower($1))
on conflict do nothing;

-- name: hold_proposals :exec  One replica writes proposals at a time; before any row of theirs is locked
select pg_advisory_xact_lock(hashtextextended('scanner.proposals', 0));

-- name: accepted_alone :val
select count(*) from niches where proposed_by is not null;

-- name: best_proposals :many
select name, near, reason, proposed_by, score, state, created_at from niche_proposals
where state = 'open' and created_at >= $2 order by score desc, name limit $1;

-- name: forget_proposals :exec  What nobody decided on and nothing speaks for any more
delete from niche_proposals where state = 'open' and created_at < $1;

-- name: forget_quotas :exec  Windows that are long over
delete from quota where ends_at < $1;

-- name: decide_proposal :val
update niche_proposals set state = $2, decided_at = $3 where lower(name) = lower($1) and state = 'open' returning name;

-- name: to_relate :many  Niches whose words no judge has looked at for a day
select name, words from niches
where not paused and words <> '{}' and (related_at is null or related_at < $1)
order by related_at nulls first, name limit $2;

-- name: claim_relating :val
update niches set related_at = $2 where name = $1 and (related_at is null or related_at < $3) returning true;

-- name: list_niches :many
select n.name, n.platforms, n.every_s, n.candidates, n.next_at, n.paused, n.destination, n.why, n.proposed_by,
       n.scanned_at, n.movement, n.movement_because, n.created_at,
       (select count(*) from niche_seen s where s.niche = n.name) as works
from niches n order by n.name;

-- name: add_niche :val  Null: it is watched already
insert into niches (name, platforms, every_s, candidates, next_at, destination, why, proposed_by, created_at)
select $1, $2, $3, $4, $5, $6, $7, $8, $9
where not exists (select from niches where lower(name) = lower($1))
on conflict do nothing
returning name;

-- name: pause_niche :val
update niches set paused = $2, next_at = greatest(next_at, $3) where lower(name) = lower($1) returning name;

-- name: drop_niche :val  With what its scans put off
with gone as (delete from niches where lower(name) = lower($1) returning name),
     put_off as (delete from scans_later where niche in (select name from gone))
select name from gone;
