-- name: find_votes :many  Votes that were given before
select asked, value, because from judge_votes where asked = any($1::text[]);

-- name: put_votes :exec  Keep votes; of two that were given at once the first stands
insert into judge_votes (asked, model, value, because, voted_at)
select asked, $2, value, because, $5 from unnest($1::text[], $3::float8[], $4::text[]) as given (asked, value, because)
on conflict (asked) do nothing;

-- name: put_usage :exec  What a work used, for its cost. `vote/` tells it from the words of its post
insert into usages (usage_id, item_id, kind, amount, name, used_at) values ($1, $2, $3, $4, $5, $6);
