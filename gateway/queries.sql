-- What people are shown. `staged` is put in front of the queries that read from it.

-- name: staged :many  Every item with how far it is; of its posts, the newest that needs a person, else the newest
select
    i.item_id, i.correlation_id, i.origin, i.platform, i.title, i.url, i.niche, i.rights, i.score, i.reasons,
    i.decision, i.decided_because, i.destination, i.first_seen_at, i.decided_at,
    i.candidate ->> 'creator' as creator,
    r.plan_id, r.rendition, r.started_at, r.frames_done, r.frames_total, r.finished_at,
    r.eta_s, r.eta_because, r.told_at,
    a.created_at as stored_at,
    p.post_id, p.platform as post_platform, p.account_id, p.state as post_state, p.because as post_because,
    p.next_action, p.url as post_url, p.privacy, p.draft ->> 'description' as description, p.intent_at,
    p.published_at, p.object_key, p.size_bytes,
    m.bucket, m.measured_at, m.age_s, m.views, m.likes, m.comments, m.shares, m.absent,
    d.error as stopped_because, d.consumer as stopped_by, d.created_at as stopped_at, d.id as dead_letter,
    case
        when p.settled = 'dropped' and p.state in ('failed', 'removed') then 'dropped'
        when p.state in ('unconfirmed', 'failed', 'removed', 'scheduled') then p.state
        when m.post_id is not null then 'measured'
        when p.state = 'published' then 'published'
        when p.state in ('waiting', 'draft') then 'waiting'
        when d.error is not null then 'stopped'
        when i.decision in ('found', 'passed') then i.decision
        when p.post_id is not null then 'publishing'
        when r.rendition is not null and i.destination is null then 'kept'
        when r.rendition is not null then 'publishing'
        when r.plan_id is not null then 'rendering'
        else 'editing'
    end as stage,
    greatest(
        i.first_seen_at, i.decided_at, r.started_at, r.finished_at, p.updated_at, m.measured_at, d.created_at
    ) as changed_at
from items i
left join lateral (
    select plan_id, nullif(rendition, 'null') as rendition, started_at, frames_done, frames_total, finished_at,
        eta_s, eta_because, told_at
    from renditions where item_id = i.item_id order by started_at desc limit 1
) r on i.decision in ('selected', 'imported')
left join lateral (
    select min(created_at) as created_at from assets where item_id = i.item_id and role = 'source'
) a on i.decision in ('selected', 'imported')
left join lateral (
    select * from posts where item_id = i.item_id
    order by
        settled is distinct from 'dropped' and state in ('unconfirmed', 'failed', 'removed', 'waiting') desc,
        intent_at desc
    limit 1
) p on true
left join lateral (
    select * from measurements where post_id = p.post_id order by bucket desc limit 1
) m on true
left join (
    select distinct on (item_id) item_id, id, error, consumer, created_at
    from dead_letters where state = 'open' and item_id is not null order by item_id, id desc
) d on d.item_id = i.item_id;

-- name: stage_counts :many  How many items are at each stage
select stage, count(*) as items from staged group by stage;

-- name: progress :one  How many works came how far
select
    count(*) as seen, count(*) filter (where decision in ('selected', 'imported')) as chosen,
    count(plan_id) as planned, count(rendition) as rendered,
    (select count(distinct item_id) from posts where state = 'published') as posted,
    (
        select count(distinct item_id) from posts p
        where state <> 'removed' and exists (select from measurements m where m.post_id = p.post_id)
    ) as measured
from staged;

-- name: all_posts :many  Every post of some items, as they were asked for
select item_id, post_id, platform, account_id, state, because, next_action, url, privacy
from posts where item_id = any($1) order by intent_at, post_id;

-- name: list_items :many  What is made into videos before what was only seen; last changed first
select staged.*, (select min(due_at) from measure_schedule s where s.post_id = staged.post_id) as due_at
from staged
where $1::text[] is null or stage = any($1)
order by decision in ('found', 'passed'), changed_at desc, item_id limit $2;

-- name: show_item :one
select staged.*, (select min(due_at) from measure_schedule s where s.post_id = staged.post_id) as due_at
from staged where item_id = $1;

-- name: list_measurements :many  Every snapshot of a post, oldest first
select bucket, measured_at, age_s, views, likes, comments, shares, absent
from measurements where post_id = $1 order by bucket;

-- name: list_accounts :many
select account_id, platform, title, state, state_because, scopes, expires_at, connected_at, refreshed_at, paused_at,
       paused_because, url, picture is not null as pictured
from accounts order by platform, title, account_id;

-- name: account_picture :val
select picture from accounts where account_id = $1;

-- name: account_title :val
select title from accounts where account_id = $1;

-- name: list_dead_letters :many  Open ones, newest first
select d.id, d.kind, d.consumer, d.event_id, d.subject, d.error, d.failures, d.created_at, i.item_id, i.title
from (
    select * from dead_letters where state = 'open' order by id desc limit $1
) d
left join items i on i.item_id = d.item_id
order by d.id desc;

-- name: count_dead_letters :many
select kind, count(*) as letters from dead_letters where state = 'open' group by kind;

-- name: list_attempts :many  What is failing and being retried
select consumer, count(*) as events, max(last_error) as last_error from attempts where failures > 0 group by consumer;

-- name: waiting_outbox :many  Events that are committed but not yet in the stream
select sender, count(*) as events, min(created_at) as oldest_at from outbox where published_at is null group by sender;

-- name: late_measures :one  Measurements whose time is past by more than the given interval
select count(*) as posts, min(due_at) as due_at from measure_schedule where due_at < $1;

-- name: late_posts :one  Posts that are due since the given moment and were not claimed
select count(*) as posts, min(t.wakes_at) as due_at
from post_times t join posts p using (post_id)
where t.wakes_at < $1 and p.state = 'scheduled';

-- name: put_oauth_state :exec
insert into oauth_states (state, platform, verifier, created_at) values ($1, $2, $3, $4);

-- name: take_oauth_state :one  A state is good for one use
delete from oauth_states where state = $1 and platform = $2 returning verifier, created_at;

-- name: prune_oauth_states :exec
delete from oauth_states where created_at < $1;
