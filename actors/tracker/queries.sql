-- Snapshots to take, and those taken.

-- name: plan_snapshots :exec  One row per bucket; a bucket that is measured already is not planned again
insert into measure_schedule (post_id, bucket, due_at)
select $1, planned.bucket, planned.due_at
from unnest($2::integer[], $3::timestamptz[]) as planned (bucket, due_at)
where not exists (select from measurements m where m.post_id = $1 and m.bucket = planned.bucket)
on conflict do nothing;

-- name: due_accounts :many  Accounts with something due, the longest waiting first
select p.account_id, p.platform, min(s.due_at) as due_at
from measure_schedule s join posts p using (post_id)
where s.due_at <= $1 and p.account_id is not null and p.platform_post_id is not null
group by p.account_id, p.platform
order by 3;

-- name: hold_account :val  True: this transaction measures the account; false: another does just now
select pg_try_advisory_xact_lock(hashtextextended('tracker.account.' || $1::text, 0));

-- name: due_posts :many  One row per post with its newest due bucket: the moments of older ones have passed
select distinct on (s.post_id) s.post_id, s.bucket, p.item_id, p.platform, p.platform_post_id, p.published_at,
       p.correlation_id
from measure_schedule s join posts p using (post_id)
where s.due_at <= $2 and p.account_id = $1 and p.platform_post_id is not null
order by s.post_id, s.bucket desc
limit $3;

-- name: store_measurement :val  Null when the bucket was stored before
insert into measurements (post_id, bucket, measured_at, age_s, views, likes, comments, shares, absent)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict do nothing
returning true;

-- name: close_buckets :exec
delete from measure_schedule where post_id = $1 and bucket <= $2;

-- name: postpone :exec
update measure_schedule set due_at = $3 where post_id = any($1::text[]) and due_at <= $2;
