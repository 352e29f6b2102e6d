-- Users of MySQL or MariaDB with the privileges that they need and no others. Replace the passwords, and % by the network of the pods.

-- MYSQL_URL of `npm run migrate`, which creates and changes tables.
CREATE USER 'tidings_migration'@'%' IDENTIFIED BY 'replace-me-migration';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP ON tidings.* TO 'tidings_migration'@'%';

-- MYSQL_URL of notify-api with MIGRATE=off.
CREATE USER 'tidings_notify_api'@'%' IDENTIFIED BY 'replace-me-notify-api';
GRANT SELECT, INSERT, UPDATE, DELETE ON tidings.* TO 'tidings_notify_api'@'%';
