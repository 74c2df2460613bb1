-- Timetables, and posts at a time.
select 1;
