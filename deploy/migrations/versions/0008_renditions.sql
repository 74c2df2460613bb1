-- Look-ups of rendered videos by their content, wherever the file lies now.

create index renditions_sha256 on renditions ((rendition ->> 'sha256'));
drop index renditions_object;
