-- Posts: intent, session, outcome. Every write but the first insert is made under the post's lease.

-- name: put_intent :exec  The row that stands before the first outside call
insert into posts (post_id, item_id, platform, state, draft, object_key, size_bytes, correlation_id, request, intent_at,
                   updated_at)
values ($1, $2, $3, 'claimed', $4, $5, $6, $7, $8, $9, $9)
on conflict (post_id) do nothing;

-- name: lock_post :one
select post_id, item_id, platform, account_id, state, because, next_action, draft, object_key, size_bytes, session,
       platform_post_id, url, privacy
from posts where post_id = $1
for update;

-- name: renew_intent :exec  A new request for a post of which nothing was sent
update posts
set draft = $2, object_key = $3, size_bytes = $4, correlation_id = $5, request = $6, updated_at = $7
where post_id = $1 and session is null and state in ('draft', 'scheduled', 'waiting', 'claimed', 'failed');

-- name: claim :exec
update posts
set account_id = $2, because = '', next_action = '', updated_at = $3,
    state = case when session is null then 'claimed' when state in ('unconfirmed', 'processing') then state else 'uploading' end
where post_id = $1;

-- name: store_session :exec  Before a byte is sent
update posts set session = $2, session_at = $3, state = 'uploading', because = '', next_action = '', updated_at = $3
where post_id = $1;

-- name: update_session :exec
update posts set session = $2, updated_at = $3 where post_id = $1;

-- name: drop_session :exec  The session made no video and never will
update posts set session = null, session_at = null, state = 'claimed', because = $2, next_action = '', updated_at = $3
where post_id = $1;

-- name: set_state :exec
update posts set state = $2, because = $3, next_action = $4, updated_at = $5
where post_id = $1 and state <> 'published';

-- name: explain :exec
update posts set because = $2, next_action = $3, updated_at = $4 where post_id = $1 and state <> 'published';

-- name: set_waiting :exec  Without a session the post belongs to whichever account its request names
update posts
set state = 'waiting', because = $2, next_action = $3, updated_at = $5,
    account_id = case when session is null then $4 else account_id end
where post_id = $1 and state <> 'published';

-- name: set_published :exec
update posts
set state = 'published', platform_post_id = $2, url = $3, privacy = $4, because = $5, next_action = '', session = null,
    published_at = $6, updated_at = $6
where post_id = $1;

-- name: serialise_waiting :exec  Going to wait and looking for who waits exclude each other, per platform
select pg_advisory_xact_lock(hashtextextended('publisher.waiting.' || $1::text, 0));

-- name: list_accounts :many
select account_id, state, state_because from accounts where platform = $1 order by account_id;

-- name: list_waiting :many  Oldest first
select post_id, correlation_id, request from posts
where platform = $1 and state = 'waiting' and (account_id is null or account_id = $2)
order by intent_at, post_id;

-- name: rendered_from :val  The plan that the same bytes were rendered from last; null: they were made elsewhere
select plan from renditions where rendition ->> 'sha256' = $1 order by started_at desc, plan_id limit 1;

-- name: fetched_as :many  The rights under which the same bytes were fetched as a source
select rights from assets where sha256 = $1 and role = 'source' order by item_id;

-- name: set_removed :exec
update posts set state = 'removed', because = $2, next_action = '', updated_at = $3
where post_id = $1 and state = 'published';

-- name: note_standing :exec
update posts set because = $2, updated_at = $3 where post_id = $1 and state = 'published';

-- name: pause_account :val  True: it was not paused before
update accounts set paused_at = $3, paused_because = $2 where account_id = $1 and paused_at is null
returning true;
