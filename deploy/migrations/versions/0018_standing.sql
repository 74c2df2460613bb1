-- When a post was last seen to stand otherwise; how often its file was sent.

alter table posts add column standing_at timestamptz;
comment on column posts.standing_at is 'When the platform was seen to show it as state and because say; null: nothing changed since it was published. What was seen earlier and is told later changes nothing.';

alter table posts add column uploads integer not null default 0;
comment on column posts.uploads is 'Uploads that were begun for the asking of correlation_id.';
