-- Experiments, their turns and pairs.

-- name: put_experiment :exec
insert into experiments (experiment_id, kind, design, platform, account_id, post_id, a, b, effect, planned, most,
                         window_s, seed, made_here, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15);

-- name: read_experiment :one
select experiment_id, kind, design, platform, account_id, post_id, a, b, effect, planned, most, sized_anew, window_s,
       seed, made_here, state, verdict, because, created_at, ended_at
from experiments where experiment_id = $1;

-- name: list_experiments :many  Newest first; null: of every state
select experiment_id, kind, design, platform, account_id, post_id, a, b, effect, planned, most, sized_anew, window_s,
       seed, made_here, state, verdict, because, created_at, ended_at
from experiments where $1::text is null or state = $1
order by created_at desc, experiment_id;

-- name: hold :val  True: this transaction works on the experiment; false: another does just now
select pg_try_advisory_xact_lock(hashtextextended('tracker.experiment.' || $1::text, 0));

-- name: swapped_post :one  The post of a swap as it is known here
select p.post_id, p.platform, p.account_id, p.platform_post_id, p.url, p.state, p.draft
from posts p where p.post_id = $1;

-- name: request_of :val
select request from posts where post_id = $1;

-- name: swapping :val  Whether an experiment runs on a post
select exists (select from experiments where post_id = $1 and design = 'swap' and state = 'running');

-- name: turns :many
select number, variant, set_at, from_at, from_views, until_at, until_views, void
from experiment_turns where experiment_id = $1 order by number;

-- name: put_turn :exec  Before the platform is asked to change anything
insert into experiment_turns (experiment_id, number, variant) values ($1, $2, $3) on conflict do nothing;

-- name: set_turn :exec
update experiment_turns set set_at = $3 where experiment_id = $1 and number = $2 and set_at is null;

-- name: begin_turn :exec
update experiment_turns set from_at = $3, from_views = $4 where experiment_id = $1 and number = $2 and from_at is null;

-- name: end_turn :exec
update experiment_turns set until_at = $3, until_views = $4 where experiment_id = $1 and number = $2
and until_at is null;

-- name: void_turns :exec
update experiment_turns set void = $4 where experiment_id = $1 and number between $2 and $3 and void = '';

-- name: size_anew :exec
update experiments set planned = $2, sized_anew = true where experiment_id = $1 and not sized_anew;

-- name: note_verdict :exec
update experiments set verdict = $2, because = $3 where experiment_id = $1 and state = 'running';

-- name: end_experiment :val  True: it was running
update experiments set state = $2, verdict = coalesce($3, verdict), because = $4, ended_at = $5
where experiment_id = $1 and state = 'running'
returning true;

-- name: put_blueprint :exec
insert into blueprints (blueprint_id, kind, value, against, platform, account_id, effect, low, high, experiment_id,
                        written_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
on conflict do nothing;

-- name: list_blueprints :many  Newest first
select blueprint_id, kind, value, against, platform, account_id, effect, low, high, experiment_id, written_at,
       withdrawn_at, withdrawn_because
from blueprints order by written_at desc, blueprint_id;

-- name: like_blueprint :many  Blueprints whose id begins so
select blueprint_id, withdrawn_at from blueprints where starts_with(blueprint_id, $1) order by blueprint_id limit 2;

-- name: set_withdrawn :exec  Null: it is in force again
update blueprints set withdrawn_at = $2, withdrawn_because = $3 where blueprint_id = $1;

-- name: published_post :one  With whether its result at the given age is known already
select post_id, platform, account_id, object_key, published_at, state,
       exists (select from measurements m where m.post_id = posts.post_id and m.age_s >= $2) as counted
from posts where post_id = $1;

-- name: pairs :many
select number, post_a, post_b, ratio, void, by_word from experiment_pairs where experiment_id = $1 order by number;

-- name: lock_pairs :exec
select 1 from experiments where experiment_id = $1 for update;

-- name: put_pair :exec
insert into experiment_pairs (experiment_id, number, post_a, post_b, by_word) values ($1, $2, $3, $4, $5);

-- name: plans_of :many  What the plans of a file of this SHA-256 say was chosen; no row: it was not rendered here
select coalesce(plan -> 'chosen', '[]') as chosen from renditions where rendition ->> 'sha256' = $1;

-- name: drawn_count :val
select count(*) from experiment_draws where experiment_id = $1;

-- name: draws :many  What the editor was given to make, and the posts of it; post_id null: there is none yet
select d.number, d.variant, d.item_id, p.post_id, coalesce(x.number is not null, false) as paired
from experiment_draws d
join experiments e using (experiment_id)
left join posts p on p.item_id = d.item_id and p.platform = e.platform and p.state = 'published'
    and (e.account_id is null or p.account_id = e.account_id)
left join experiment_pairs x on x.experiment_id = d.experiment_id and p.post_id in (x.post_a, x.post_b)
where d.experiment_id = $1 order by d.number, p.post_id;

-- name: open_pairs :many  With the first counts that are old enough, and the standings of both posts
select e.number, a.published_at as a_published_at, b.published_at as b_published_at, ma.age_s as a_age_s,
       ma.views as a_views, mb.age_s as b_age_s, mb.views as b_views, a.state as a_state, b.state as b_state
from experiment_pairs e
join posts a on a.post_id = e.post_a
join posts b on b.post_id = e.post_b
left join lateral (
    select age_s, views from measurements where post_id = e.post_a and age_s >= $2 order by age_s limit 1
) ma on true
left join lateral (
    select age_s, views from measurements where post_id = e.post_b and age_s >= $2 order by age_s limit 1
) mb on true
where e.experiment_id = $1 and e.ratio is null and e.void = ''
order by e.number;

-- name: set_ratio :exec
update experiment_pairs set ratio = $3 where experiment_id = $1 and number = $2 and ratio is null;

-- name: void_pair :exec
update experiment_pairs set void = $3 where experiment_id = $1 and number = $2 and ratio is null;
