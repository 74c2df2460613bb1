-- Accounts and their tokens.

-- name: read_account :one
select account_id, platform, title, state, state_because, tokens, expires_at from accounts where account_id = $1;

-- name: lock_account :one  Refreshing, storing and forgetting go one at a time
select account_id, platform, title, state, state_because, tokens, expires_at from accounts where account_id = $1
for update;

-- name: store_account :exec
insert into accounts (account_id, platform, title, state, state_because, tokens, scopes, expires_at, connected_at,
                      refreshed_at)
values ($1, $2, $3, 'connected', '', $4, $5, $6, $7, $7)
on conflict (account_id) do update
set platform = excluded.platform, title = excluded.title, state = 'connected', state_because = '',
    tokens = excluded.tokens, scopes = excluded.scopes, expires_at = excluded.expires_at,
    connected_at = excluded.connected_at, refreshed_at = excluded.refreshed_at;

-- name: store_tokens :exec
update accounts set tokens = $2, scopes = $3, expires_at = $4, refreshed_at = $5 where account_id = $1;

-- name: expire_now :exec
update accounts set expires_at = $2 where account_id = $1;

-- name: need_reconnect :exec
update accounts set state = 'reconnect_needed', state_because = $2 where account_id = $1 and state = 'connected';

-- name: forget_account :exec
update accounts
set state = 'disconnected', state_because = $2, tokens = null, scopes = '{}', expires_at = null
where account_id = $1;
