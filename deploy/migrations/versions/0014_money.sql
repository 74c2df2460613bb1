-- Revenue, costs, rates, and what was imported.
select 1;
