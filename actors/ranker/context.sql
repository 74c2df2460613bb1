-- name: rates :many
select creator, likes, comments, liked_views, commented_views from base_rates
where platform = $1 and creator = any($2::text[]);

-- name: count_rates :exec
-- Counts the newest observation of each item since $1; a group that has none any more goes.
with newest as (
    select distinct on (o.item_id) i.platform,
        coalesce(i.candidate ->> 'creator_id', i.candidate ->> 'creator', '') as creator, o.views, o.likes, o.comments
    from observations o join items i using (item_id)
    where o.observed_at > $1 and o.observed_at <= $2 and i.platform is not null and o.views is not null
    order by o.item_id, o.observed_at desc
),
grouped as (
    select platform, creator, grouping(creator) as whole,
        sum(views)::bigint as views, coalesce(sum(likes), 0)::bigint as likes,
        coalesce(sum(comments), 0)::bigint as comments,
        coalesce(sum(views) filter (where likes is not null), 0)::bigint as liked_views,
        coalesce(sum(views) filter (where comments is not null), 0)::bigint as commented_views
    from newest
    group by grouping sets ((platform), (platform, creator))
),
gone as (delete from base_rates where counted_at < $2)
insert into base_rates (platform, creator, views, likes, comments, liked_views, commented_views, counted_at)
select platform, coalesce(creator, ''), views, likes, comments, liked_views, commented_views, $2
from grouped where whole = 1 or creator <> ''
on conflict (platform, creator) do update set
    views = excluded.views, likes = excluded.likes, comments = excluded.comments,
    liked_views = excluded.liked_views, commented_views = excluded.commented_views, counted_at = excluded.counted_at;

-- name: namesakes :val
-- Other works of the same normal title that were seen lately.
select count(distinct work_id) from marks where title_key = $1 and item_id <> $2 and seen_at > $3;

-- name: results :many
-- Each post of the last half year with its newest measured views; null: never measured.
select i.title, i.platform, p.published_at, m.views, m.age_s
from posts p
join items i using (item_id)
left join lateral (
    select views, age_s from measurements where post_id = p.post_id and views is not null order by bucket desc limit 1
) m on true
where p.published_at > $1 and p.item_id <> $2
order by p.published_at desc
limit 200;
