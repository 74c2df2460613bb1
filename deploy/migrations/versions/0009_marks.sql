-- Works of one title, by length: thousands may share a title, and few of them a length.

create index marks_title_length on marks (title_key, duration_us) where title_key is not null;
drop index marks_title;

comment on column chores.done_at is 'When it was last done; of what was begun and is not done yet, so long ago that it is due again after a quarter of its period.';
