-- name: rates :many
-- The sums of a platform and of a creator there. From the creator's goes what was counted of the item $3 itself.
select r.creator,
    greatest(r.likes - coalesce(own.likes, 0), 0) as likes,
    greatest(r.comments - coalesce(own.comments, 0), 0) as comments,
    greatest(r.liked_views - case when own.likes is null then 0 else own.views end, 0) as liked_views,
    greatest(r.commented_views - case when own.comments is null then 0 else own.views end, 0) as commented_views
from base_rates r
left join lateral (
    select o.views, o.likes, o.comments
    from items i join counts o using (item_no)
    where r.creator <> '' and i.item_id = $3
      and coalesce(i.candidate ->> 'creator_id', i.candidate ->> 'creator', '') = r.creator
      and o.observed_at > r.counted_at - $4::interval and o.observed_at <= r.counted_at and o.views is not null
    order by o.observed_at desc limit 1
) own on true
where r.platform = $1 and r.creator = any($2::text[]);

-- name: count_rates :exec
-- Counts the newest observation of each item since $1; a group that has none any more goes.
with newest as (
    select i.platform, coalesce(i.candidate ->> 'creator_id', i.candidate ->> 'creator', '') as creator,
        o.views, o.likes, o.comments
    from (
        select distinct on (item_no) item_no, views, likes, comments from counts
        where observed_at > $1 and observed_at <= $2 and views is not null
        order by item_no, observed_at desc
    ) o join items i using (item_no)
    where i.platform is not null
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
-- Works of the same normal title that were seen lately in an item other than $2, and are not the work $4.
select count(distinct work_id) from marks
where title_key = $1 and item_id <> $2 and seen_at > $3 and work_id is distinct from $4::bigint;

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
