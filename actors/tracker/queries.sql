-- Snapshots to take, and those taken; how posts stand.

-- name: note_shown_at :exec
update posts set shown_at = $2 where post_id = $1;

-- name: plan_snapshots :exec  One row per bucket; not one that is measured already, or that a later one took the place of
insert into measure_schedule (post_id, bucket, due_at)
select $1, planned.bucket, planned.due_at
from unnest($2::integer[], $3::timestamptz[]) as planned (bucket, due_at)
where not exists (select from measurements m where m.post_id = $1 and m.bucket >= planned.bucket)
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
select distinct on (s.post_id) s.post_id, s.bucket, p.item_id, p.platform, p.platform_post_id,
       coalesce(p.shown_at, p.published_at) as shown_at, p.correlation_id
from measure_schedule s join posts p using (post_id)
where s.due_at <= $2 and p.account_id = $1 and p.platform_post_id is not null
order by s.post_id, s.bucket desc
limit $3;

-- name: store_measurement :val  Null when the bucket was stored before
insert into measurements (post_id, bucket, measured_at, age_s, absent, views, likes, comments, shares, saves, reach,
                          impressions, clicks, followers, watched_us, average_watched_us, retention)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
on conflict do nothing
returning true;

-- name: close_buckets :exec
delete from measure_schedule where post_id = $1 and bucket <= $2;

-- name: postpone :exec
update measure_schedule set due_at = $3 where post_id = any($1::text[]) and due_at <= $2;

-- name: known_by_now :many  Each snapshot of a post, with what was told of it afterwards
select m.bucket, m.measured_at, m.age_s, to_jsonb(m) || coalesce(c.told, '{}') as numbers, c.revision,
       coalesce(c.revised, '{}') as revised
from measurements m
left join lateral (
    select jsonb_object_agg(field, value order by told_at) as told, count(distinct told_at) as revision,
           jsonb_object_agg(field, told_at order by told_at) as revised
    from measurement_changes where post_id = m.post_id and bucket = m.bucket
) c on true
where m.post_id = $1 and m.bucket <= $2
order by m.bucket;

-- name: store_change :exec
insert into measurement_changes (post_id, bucket, field, told_at, kind, was, value)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict do nothing;

-- name: told_fields :one  Which numbers a platform told of any post lately
select coalesce(bool_or(m.views is not null), false) as views, coalesce(bool_or(m.likes is not null), false) as likes,
       coalesce(bool_or(m.comments is not null), false) as comments,
       coalesce(bool_or(m.shares is not null), false) as shares, coalesce(bool_or(m.saves is not null), false) as saves,
       coalesce(bool_or(m.reach is not null), false) as reach,
       coalesce(bool_or(m.impressions is not null), false) as impressions,
       coalesce(bool_or(m.clicks is not null), false) as clicks,
       coalesce(bool_or(m.followers is not null), false) as followers,
       coalesce(bool_or(m.watched_us is not null), false) as watched_us,
       coalesce(bool_or(m.average_watched_us is not null), false) as average_watched_us,
       coalesce(bool_or(m.retention is not null), false) as retention
from measurements m join posts p using (post_id)
where p.platform = $1 and m.measured_at >= $2;

-- name: ask_again :exec  A snapshot lacks what its platform usually tells, and no other is due soon
insert into measure_schedule (post_id, bucket, due_at)
select $1, $2, $3
where not exists (select from measure_schedule where post_id = $1 and due_at <= $3)
on conflict do nothing;

-- name: plan_looks :exec
insert into standings (post_id, next_at) values ($1, $2) on conflict do nothing;

-- name: note_shown :exec
update standings set missed = 0 where post_id = $1 and missed > 0;

-- name: note_missing :exec  Twice in a row is worth a look
update standings
set missed = missed + 1, next_at = case when missed >= 1 then least(next_at, $2) else next_at end
where post_id = $1 and told_state <> 'removed';

-- name: accounts_to_look_at :many  The longest waiting first
select p.account_id, p.platform, min(s.next_at) as next_at
from standings s join posts p using (post_id)
where s.next_at <= $1 and p.platform = any($2::text[]) and p.account_id is not null and p.platform_post_id is not null
group by p.account_id, p.platform
order by 3;

-- name: hold_looks :val  True: this transaction looks at the account's posts
select pg_try_advisory_xact_lock(hashtextextended('tracker.looks.' || $1::text, 0));

-- name: posts_to_look_at :many  What the platform kept until its time is public from then on
select s.post_id, p.item_id, p.platform, p.account_id, p.platform_post_id,
       coalesce(p.shown_at, p.published_at) as shown_at, p.correlation_id,
       case when p.shown_at <= $2 then 'public' else p.privacy end as confirmed_privacy, s.state,
       s.told_state, s.doubted_state, s.doubted_at, s.looks,
       (select max(c.seen_at) from standing_changes c
        where c.post_id = s.post_id and c.state = 'removed' and s.told_state = 'removed') as removed_at
from standings s join posts p using (post_id)
where s.next_at <= $2 and p.account_id = $1 and p.platform_post_id is not null
order by s.next_at, s.post_id
limit $3;

-- name: put_off_looks :exec
update standings set next_at = $2 where post_id = any($1::text[]);

-- name: store_look :val  Null: another look was stored in the meantime
update standings
set state = $3, because = $4, privacy = $5, seen_at = $6, told_state = $7, doubted_state = $8, doubted_at = $9,
    looks = looks + 1, missed = 0, next_at = $10
where post_id = $1 and looks = $2
returning true;

-- name: store_standing_change :exec
insert into standing_changes (post_id, seen_at, state, because, privacy) values ($1, $2, $3, $4, $5)
on conflict do nothing;

-- name: drop_snapshots :exec  A post that is gone has no numbers to come
delete from measure_schedule where post_id = $1;

-- name: history :many  Every snapshot of views of published posts, as it is known by now
select p.post_id, p.platform, p.account_id, coalesce(i.niche, '') as niche,
       coalesce(p.shown_at, p.published_at) as shown_at, m.bucket, m.measured_at, m.age_s, coalesce(c.views, m.views) as views
from posts p
left join items i using (item_id)
left join measurements m using (post_id)
left join lateral (
    select (value #>> '{}')::bigint as views from measurement_changes
    where post_id = m.post_id and bucket = m.bucket and field = 'views' and kind = 'corrected'
    order by told_at desc limit 1
) c on true
where p.published_at is not null and p.account_id is not null
  and coalesce(p.shown_at, p.published_at) between $4 and $5
  and ($1::text is null or p.account_id = $1) and ($2::text is null or i.niche = $2)
  and ($3::text is null or p.platform = $3)
order by shown_at, p.post_id, m.measured_at;
