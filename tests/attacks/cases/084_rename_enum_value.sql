-- Attack: ALTER TYPE RENAME VALUE, which changes what stored rows say
-- As: owner, superuser

ALTER TYPE {enum} RENAME VALUE '{label}' TO 'forged';
