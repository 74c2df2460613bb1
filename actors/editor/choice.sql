-- What experiments ask for and have shown. Read here, written by the tracker; draws are the editor's own.

-- name: account_of :val  Whose post it becomes: the one that is named, else the only one that is connected; null: not known yet
select coalesce($2::text, (
    select min(account_id) from accounts where platform = $1 and state = 'connected' having count(*) = 1
));

-- name: running_experiment :one  The account's own before one of any account, the first begun first
select experiment_id, a, b, seed from experiments
where state = 'running' and kind = 'caption_style' and made_here and platform = $1
  and (account_id is null or account_id = $2) and a = any($3::text[]) and b = any($3::text[])
order by account_id is null, created_at, experiment_id limit 1;

-- name: hold_draws :exec  Two replicas never draw the same number
select pg_advisory_xact_lock(hashtextextended('editor.draw.' || $1::text, 0));

-- name: drawn :one
select number, variant from experiment_draws where experiment_id = $1 and item_id = $2;

-- name: next_number :val
select coalesce(max(number) + 1, 0) from experiment_draws where experiment_id = $1;

-- name: put_draw :exec
insert into experiment_draws (experiment_id, number, variant, item_id, drawn_at) values ($1, $2, $3, $4, $5);

-- name: blueprint_in_force :one  The account's own before one of the platform, the newest first
select blueprint_id, value, against, account_id, effect, low, high, experiment_id from blueprints
where withdrawn_at is null and kind = 'caption_style' and platform = $1
  and (account_id is null or account_id = $2) and value = any($3::text[])
order by account_id is null, written_at desc, blueprint_id limit 1;
