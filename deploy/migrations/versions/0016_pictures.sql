-- Thumbnails that were looked at.

alter table marks add column looked_at timestamptz;
comment on column marks.looked_at is 'When its thumbnail was fetched, or could not be; null: nobody looked, because nothing hung on it.';
