-- What is written of a predecessor's rows. Nothing that is here already is changed.

-- name: ids_known :many  What became of rows that were copied before
select old_id, new_id from legacy_ids where kind = $1 and old_id = any($2::text[]);

-- name: put_id :exec
insert into legacy_ids (kind, old_id, new_id) values ($1, $2, $3) on conflict do nothing;

-- name: put_record :exec
insert into legacy_records (kind, old_id, content, because, imported_at) values ($1, $2, $3, $4, $5)
on conflict do nothing;

-- name: put_niche :exec
insert into niches (name, platforms, every_s, next_at, paused, why, created_at)
select $1, $2, $3, $4, $5, $6, $4
where not exists (select from niches where lower(name) = lower($1))
on conflict do nothing;

-- name: put_account :exec
insert into accounts (account_id, platform, title, state, state_because, connected_at)
values ($1, $2, $3, 'reconnect_needed', $4, $5)
on conflict do nothing;

-- name: put_item :exec
insert into items (item_id, correlation_id, origin, title, url, niche, rights, decision, decided_because)
values ($1, $6, 'import', $2, $3, $4, $5, 'imported', $7)
on conflict do nothing;

-- name: put_post :val
insert into posts (post_id, item_id, platform, account_id, state, because, draft, object_key, size_bytes,
                   platform_post_id, url, correlation_id, request, intent_at, published_at, updated_at)
values ($1, $2, $3, $4, 'published', $11, $5, $6, 0, $7, $8, $12, $9, $10, $10, $10)
on conflict do nothing
returning post_id;

-- name: put_link :exec
insert into affiliate_links (code, url, title, disclosure, network, niche, paused, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict do nothing;

-- name: items_of :many
select post_id, item_id from posts where post_id = any($1::text[]);
