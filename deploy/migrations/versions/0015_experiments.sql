-- Experiments.
select 1;
