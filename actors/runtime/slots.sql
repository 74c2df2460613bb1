-- Room among the posts of a day. A reservation stands until its post has ended, at most a day.

-- name: serialise :exec
select pg_advisory_xact_lock(hashtextextended('slots.' || $1::text, 0));

-- name: taken :many  Posts and reservations of the last day, of one account or of the whole platform, but for
-- that of item $4 to account $5 itself, oldest first
select at from (
    select published_at as at from posts
    where platform = $1 and ($2::text is null or account_id = $2) and published_at > $3
      and (item_id <> $4 or coalesce(request -> 'destination' ->> 'account_id', '') <> $5)
    union all
    select coalesce(session_at, updated_at) from posts
    where platform = $1 and ($2::text is null or account_id = $2) and session is not null and published_at is null
      and updated_at > $3
      and (item_id <> $4 or coalesce(request -> 'destination' ->> 'account_id', '') <> $5)
    union all
    select s.reserved_at from post_slots s
    where s.platform = $1 and ($2::text is null or s.account_id in ('', $2)) and s.reserved_at > $3
      and (s.item_id <> $4 or s.account_id <> $5)
      and not exists (  -- its post counts by itself
          select from posts p
          where p.item_id = s.item_id and p.platform = s.platform
            and coalesce(p.request -> 'destination' ->> 'account_id', '') = s.account_id
            and (p.published_at > $3 or (p.session is not null and p.published_at is null and p.updated_at > $3)))
) as every order by at;

-- name: reserve :exec
insert into post_slots (item_id, platform, account_id, reserved_at) values ($1, $2, $3, $4)
on conflict (item_id, platform, account_id) do update set reserved_at = excluded.reserved_at;

-- name: release :exec
delete from post_slots where item_id = $1 and platform = $2 and account_id = $3;
