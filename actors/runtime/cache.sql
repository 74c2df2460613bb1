-- name: get :one  An answer, fresh or not
select body, etag, fetched_at, fresh_until from http_cache where key = $1;

-- name: put :exec  Keep an answer
insert into http_cache (key, body, etag, fetched_at, fresh_until) values ($1, $2, $3, $4, $5)
on conflict (key) do update set
    body = excluded.body, etag = excluded.etag, fetched_at = excluded.fetched_at, fresh_until = excluded.fresh_until;

-- name: prune :exec  Forget a few answers that nobody asked for again
delete from http_cache where key in (select key from http_cache where fetched_at < $1 limit 20);
