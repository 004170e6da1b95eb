CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}';
GRANT SELECT ON orders.orders TO '{{name}}'@'%';
