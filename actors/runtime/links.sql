-- Links that earn.

-- name: active_links :many
select code, url, title, disclosure, network, niche, platforms, marker_param, discount_code, paused, created_at
from affiliate_links where not paused order by code;
