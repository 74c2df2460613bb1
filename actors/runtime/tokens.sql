-- Accounts and their tokens.

-- name: read_account :one
select account_id, platform, title, state, state_because, tokens, expires_at, connected_at, refreshed_at,
       refresh_began_at
from accounts where account_id = $1;

-- name: lock_account :one  Storing, renewing and forgetting go one at a time
select account_id, platform, title, state, state_because, tokens, expires_at, connected_at, refreshed_at,
       refresh_began_at
from accounts where account_id = $1
for update;

-- name: take_turn :exec  One process of all refreshes an account; a connection that ends gives its turn back
select pg_advisory_lock(hashtextextended('tokens of ' || $1, 0));

-- name: end_turn :exec
select pg_advisory_unlock(hashtextextended('tokens of ' || $1, 0));

-- name: usable_accounts :many  Connected first comes first
select account_id, title, scopes from accounts
where platform = $1 and state = 'connected' and paused_at is null order by connected_at, account_id;

-- name: store_account :exec
insert into accounts (account_id, platform, title, state, state_because, tokens, scopes, expires_at, connected_at,
                      refreshed_at, url, picture)
values ($1, $2, $3, 'connected', '', $4, $5, $6, $7, $7, $8, $9)
on conflict (account_id) do update
set platform = excluded.platform, title = excluded.title, state = 'connected', state_because = '',
    tokens = excluded.tokens, scopes = excluded.scopes, expires_at = excluded.expires_at,
    connected_at = excluded.connected_at, refreshed_at = excluded.refreshed_at, refresh_began_at = null,
    url = excluded.url, picture = excluded.picture;

-- name: begin_refresh :exec  Stands before the request leaves; the first of several that got no answer counts
update accounts set refresh_began_at = coalesce(refresh_began_at, $2) where account_id = $1;

-- name: end_refresh :exec  The platform answered, and gave nothing new
update accounts set refresh_began_at = null where account_id = $1;

-- name: store_tokens :exec  Under `lock_account`
update accounts set tokens = $2, scopes = $3, expires_at = $4, refreshed_at = $5, refresh_began_at = null
where account_id = $1;

-- name: ageing_accounts :many  What ends soonest comes first
select account_id, platform, coalesce(refreshed_at, connected_at) as given_at from accounts
where state = 'connected' and tokens is not null and expires_at < $1 order by expires_at, account_id;

-- name: expire_now :exec
update accounts set expires_at = $2 where account_id = $1;

-- name: need_reconnect :val  True: it was connected
update accounts set state = 'reconnect_needed', state_because = $2, refresh_began_at = null
where account_id = $1 and state = 'connected'
returning true;

-- name: forget_account :exec
update accounts
set state = 'disconnected', state_because = $2, tokens = null, scopes = '{}', expires_at = null,
    refresh_began_at = null
where account_id = $1;

-- name: pause :val  True: it was not paused
update accounts set paused_at = $3, paused_because = $2 where account_id = $1 and paused_at is null returning true;

-- name: resume :val  True: it was paused
update accounts set paused_at = null, paused_because = '' where account_id = $1 and paused_at is not null
returning true;

-- name: tell :exec  Leave an event for the relay of who gives it
insert into outbox (sender, message_id, subject, payload, correlation_id) values ($1, $2, $3, $4, $2)
on conflict (message_id) do nothing;

-- name: list_accounts :many
select account_id, platform, title, state, state_because, url, paused_at, paused_because, scopes, expires_at,
       connected_at, refreshed_at, tokens
from accounts order by platform, title, account_id;

-- name: known_client :one
select client from oauth_clients
where platform = $1 and server = $2 and redirect_uri = $3 and registered_at > $4;

-- name: keep_client :exec
insert into oauth_clients (platform, server, redirect_uri, client, registered_at) values ($1, $2, $3, $4, $5)
on conflict (platform, server, redirect_uri) do update
set client = excluded.client, registered_at = excluded.registered_at;

-- name: sealed_accounts :many
select account_id as key, tokens as sealed from accounts where tokens is not null;

-- name: reseal_accounts :val
update accounts set tokens = $3 where account_id = $1 and tokens = $2 returning true;

-- name: sealed_posts :many
select post_id as key, session as sealed from posts where session is not null;

-- name: reseal_posts :val
update posts set session = $3 where post_id = $1 and session = $2 returning true;

-- name: sealed_oauth_states :many
select state as key, verifier as sealed from oauth_states;

-- name: reseal_oauth_states :val
update oauth_states set verifier = $3 where state = $1 and verifier = $2 returning true;

-- name: sealed_oauth_clients :many
select jsonb_build_array(platform, server, redirect_uri)::text as key, client as sealed from oauth_clients;

-- name: reseal_oauth_clients :val
update oauth_clients set client = $3
where jsonb_build_array(platform, server, redirect_uri)::text = $1 and client = $2 returning true;
