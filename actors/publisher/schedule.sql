-- Times of posts. Whoever changes the times of an account's posts holds the account's lock first.

-- name: hold_times :exec  Two posts of an account cannot take the same room
select pg_advisory_xact_lock(hashtextextended('publisher.times.' || $1::text, 0));

-- name: read_timetable :val
select timetable from timetables where account_id = $1;

-- name: list_taken :many  Moments of an account's other posts, from $3 on; what failed or waits for something takes no room
select coalesce(t.due_at, p.published_at, p.intent_at) as at
from posts p left join post_times t using (post_id)
where p.account_id = $1 and p.post_id <> $2 and p.state not in ('draft', 'waiting', 'failed')
  and coalesce(t.due_at, p.published_at, p.intent_at) >= $3
order by at;

-- name: lock_time :one
select post_id, account_id, correlation_id, due_at, timed, by_slot, kept_there, wakes_at, claimed_at, asking_since,
       let_go_at, skipped_at
from post_times where post_id = $1
for update;

-- name: put_time :exec
insert into post_times (post_id, account_id, correlation_id, due_at, timed, by_slot, kept_there, wakes_at, let_go_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (post_id) do update
set account_id = excluded.account_id, correlation_id = excluded.correlation_id, due_at = excluded.due_at,
    timed = excluded.timed, by_slot = excluded.by_slot, kept_there = excluded.kept_there, wakes_at = excluded.wakes_at,
    let_go_at = excluded.let_go_at, asking_since = null, skipped_at = null;

-- name: drop_time :exec
delete from post_times where post_id = $1;

-- name: note_asking :exec
update post_times set asking_since = coalesce(asking_since, $2), wakes_at = null where post_id = $1;

-- name: note_state :exec  Of a post of which nothing was sent
update posts set state = $2, because = $3, next_action = $4, updated_at = $5
where post_id = $1 and session is null and state <> 'published';

-- name: list_due :many  The longest due first
select t.post_id, t.turn, t.correlation_id, t.wakes_at from post_times t join posts p using (post_id)
where t.wakes_at <= $1 and p.state = 'scheduled'
order by t.wakes_at, t.post_id limit $2;

-- name: claim_due :one  Locked against other replicas, which pass it by; a turn is claimed once
select t.due_at, p.request
from post_times t join posts p using (post_id)
where t.post_id = $1 and t.correlation_id = $2 and t.turn = $3 and t.wakes_at = $4 and p.state = 'scheduled'
for update of t skip locked;

-- name: note_claim :val  Returns how late it is, seconds
update post_times
set wakes_at = null, claimed_at = $2, turn = turn + 1,
    late_s = greatest(late_s, extract(epoch from $2::timestamptz - due_at)::double precision, 0.0)
where post_id = $1
returning late_s;

-- name: put_timetable :exec
insert into timetables (account_id, timetable, updated_at) values ($1, $2, $3)
on conflict (account_id) do update set timetable = excluded.timetable, updated_at = excluded.updated_at;

-- name: drop_timetable :val
delete from timetables where account_id = $1 returning true;

-- name: list_timetables :many  Every account, or one; those without a timetable too
select a.account_id, a.platform, a.title, a.state, t.timetable
from accounts a left join timetables t using (account_id)
where ($1::text is null or a.account_id = $1) and ($1 is not null or a.state <> 'disconnected' or t.timetable is not null)
order by a.account_id;

-- name: list_planned :many  What is to come, what is asked about, and with $2 what was posted since
select p.post_id, p.account_id, p.draft ->> 'title' as title, p.state, p.because, p.next_action, t.due_at, t.timed,
       t.by_slot, t.kept_there, t.claimed_at, t.late_s, t.asking_since, p.published_at, p.url
from post_times t join posts p using (post_id)
where ($1::text is null or t.account_id = $1)
  and (p.state in ('scheduled', 'waiting', 'claimed', 'uploading', 'processing', 'unconfirmed')
       or (t.kept_there and p.state = 'published' and t.due_at > $3)
       or p.published_at >= $2)
order by t.due_at, p.post_id;

-- name: lateness :many  Of each account, since $2
select account_id, count(*) as posts, percentile_cont(0.5) within group (order by late_s) as usual_s,
       max(late_s) as worst_s
from post_times where claimed_at >= $2 and ($1::text is null or account_id = $1)
group by account_id order by account_id;

-- name: find_post :many  By its whole id or by how that begins
select post_id, account_id from posts where starts_with(post_id, $1) order by post_id limit 2;

-- name: lock_planned :one
select post_id, account_id, platform, state, because, correlation_id, request,
       session is not null or platform_post_id is not null or settled is not null as over
from posts where post_id = $1
for update;

-- name: note_late :exec
update post_times set late_s = greatest(late_s, $2) where post_id = $1 and $2 > 0;

-- name: note_skipped :exec
update post_times set wakes_at = null, asking_since = null, skipped_at = $2 where post_id = $1;

-- name: measured_posts :many  Views of an account's public posts at the age nearest to a day, once each
select distinct on (shown.post_id) shown.shown_at, m.views
from (select p.post_id, greatest(p.published_at, case when t.kept_there then t.due_at end) as shown_at
      from posts p left join post_times t using (post_id)
      where p.account_id = $1 and p.published_at is not null
        and (p.privacy is distinct from 'private' or t.kept_there)) as shown
join measurements m using (post_id)
where m.views is not null and m.measured_at between shown.shown_at + $2::interval and shown.shown_at + $3::interval
order by shown.post_id, abs(extract(epoch from m.measured_at - shown.shown_at) - 86400.0);
