-- name: spend :val  Take units of a window unless that exceeds the limit; null: it would
insert into quota (platform, bucket, begins_at, ends_at, used) select $1, $2, $3, $4, $5::integer where $5 <= $6::integer
on conflict (platform, bucket, begins_at) do update set used = quota.used + excluded.used
where quota.used + excluded.used <= $6
returning used;

-- name: used :val  Units taken of a window
select used from quota where platform = $1 and bucket = $2 and begins_at = $3;

-- name: exhaust :exec  The platform says that nothing is left
insert into quota (platform, bucket, begins_at, ends_at, used) values ($1, $2, $3, $4, $5)
on conflict (platform, bucket, begins_at) do update set used = greatest(quota.used, excluded.used);

-- name: pause :exec  Leave a platform alone; the later of two pauses counts
insert into platform_pauses (platform, until, because) values ($1, $2, $3)
on conflict (platform) do update set until = excluded.until, because = excluded.because
where platform_pauses.until < excluded.until;

-- name: paused :one  The pause that is in force
select until, because from platform_pauses where platform = $1 and until > $2;
