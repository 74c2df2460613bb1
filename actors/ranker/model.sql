-- name: store :exec
insert into models (version, made_at, inputs, onnx, report, better) values ($1, $2, $3, $4, $5, $6)
on conflict (version) do nothing;

-- name: judged :one
select better, report from models where version = $1;

-- name: retire :exec
update models set retired_at = $1 where promoted_at is not null and retired_at is null;

-- name: promote :exec
update models set promoted_at = $2, retired_at = null where version = $1;

-- name: in_use :one
-- A model of other inputs than this program's is passed over.
select version, onnx from models where promoted_at is not null and retired_at is null and inputs = $1;

-- name: version_in_use :val
select version from models where promoted_at is not null and retired_at is null and inputs = $1;

-- name: history :many
-- The observations of the newest works since $1, at most $2 works.
select i.item_id, i.platform, coalesce(i.candidate ->> 'creator_id', i.candidate ->> 'creator') as channel, i.title,
    (i.candidate ->> 'published_at')::timestamptz as published_at, o.observed_at, o.views, o.likes, o.comments
from (
    select item_id, platform, candidate, title from items
    where origin = 'scan' and first_seen_at > $1 order by first_seen_at desc limit $2
) i join observations o using (item_id)
order by i.item_id, o.observed_at;
