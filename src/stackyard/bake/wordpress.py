"""wordpress: Apache with PHP serving the distribution's WordPress, configured by WORDPRESS_* variables."""

from __future__ import annotations

from stackyard.bake.recipe import PATH, Recipe, User

_USER = User("www-data", 33, "/var/www")

_ENTRYPOINT = r"""#!/bin/sh
# Makes the site's secret keys on the first start, then runs what it was given (the web server).
set -eu
keys=/var/lib/wordpress/keys.php
if [ ! -s "$keys" ]; then
    umask 077
    {
        echo '<?php'
        for name in AUTH_KEY SECURE_AUTH_KEY LOGGED_IN_KEY NONCE_KEY \
            AUTH_SALT SECURE_AUTH_SALT LOGGED_IN_SALT NONCE_SALT; do
            echo "define('$name', '$(head -c 48 /dev/urandom | base64 | tr -d '\n')');"
        done
    } >"$keys"
    chown www-data:www-data "$keys"
fi
exec "$@"
"""

_FOREGROUND = """#!/bin/sh
rm -f /run/apache2/apache2.pid
exec apache2 -DFOREGROUND "$@"
"""

_CONFIGURATION = """\
ServerRoot /etc/apache2
ServerName localhost
PidFile /run/apache2/apache2.pid
DefaultRuntimeDir /run/apache2
User www-data
Group www-data
Listen 80
LoadModule mpm_prefork_module /usr/lib/apache2/modules/mod_mpm_prefork.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
LoadModule env_module /usr/lib/apache2/modules/mod_env.so
LoadModule mime_module /usr/lib/apache2/modules/mod_mime.so
LoadModule rewrite_module /usr/lib/apache2/modules/mod_rewrite.so
LoadModule php_module /usr/lib/apache2/modules/libphp.so
StartServers 2
MinSpareServers 1
MaxSpareServers 4
TypesConfig /etc/mime.types
ErrorLog /dev/stderr
LogFormat "%h %l %u %t \\"%r\\" %>s %O \\"%{Referer}i\\" \\"%{User-Agent}i\\"" combined
CustomLog /dev/stdout combined
DocumentRoot /var/www/html
DirectoryIndex index.php index.html
<Directory />
    Options FollowSymLinks
    AllowOverride None
    Require all denied
</Directory>
<Directory /usr/share>
    Require all granted
</Directory>
<Directory /var/www/html>
    AllowOverride FileInfo
    Require all granted
</Directory>
<Directory /var/lib/wordpress/wp-content>
    AllowOverride FileInfo
    Require all granted
</Directory>
<FilesMatch "^\\.ht">
    Require all denied
</FilesMatch>
<FilesMatch "\\.ph(ar|p|tml)$">
    SetHandler application/x-httpd-php
</FilesMatch>
"""

_SITE = r"""<?php
function stackyard_setting($name, $default) {
    $file = getenv($name . '_FILE');
    if ($file !== false && $file !== '') {
        return rtrim(file_get_contents($file), "\r\n");
    }
    $value = getenv($name);
    return $value === false ? $default : $value;
}
define('DB_NAME', stackyard_setting('WORDPRESS_DB_NAME', 'wordpress'));
define('DB_USER', stackyard_setting('WORDPRESS_DB_USER', 'wordpress'));
define('DB_PASSWORD', stackyard_setting('WORDPRESS_DB_PASSWORD', ''));
define('DB_HOST', stackyard_setting('WORDPRESS_DB_HOST', 'mysql'));
define('DB_CHARSET', stackyard_setting('WORDPRESS_DB_CHARSET', 'utf8mb4'));
define('DB_COLLATE', stackyard_setting('WORDPRESS_DB_COLLATE', ''));
define('WP_DEBUG', (bool) stackyard_setting('WORDPRESS_DEBUG', ''));
define('WP_CONTENT_DIR', '/var/lib/wordpress/wp-content');
define('AUTOMATIC_UPDATER_DISABLED', true);
define('DISALLOW_FILE_MODS', true);
require '/var/lib/wordpress/keys.php';
$table_prefix = stackyard_setting('WORDPRESS_TABLE_PREFIX', 'wp_');
if (isset($_SERVER['HTTP_X_FORWARDED_PROTO']) && strpos($_SERVER['HTTP_X_FORWARDED_PROTO'], 'https') !== false) {
    $_SERVER['HTTPS'] = 'on';
}
if (!defined('ABSPATH')) {
    define('ABSPATH', '/usr/share/wordpress/');
}
require_once ABSPATH . 'wp-settings.php';
"""

_PHP = """\
; Read from PHP_INI_SCAN_DIR: the extensions that maintainer scripts would have enabled.
extension=mysqlnd.so
extension=ctype.so
extension=dom.so
extension=exif.so
extension=fileinfo.so
extension=iconv.so
extension=mbstring.so
extension=mysqli.so
extension=simplexml.so
extension=tokenizer.so
extension=xml.so
extension=xmlreader.so
extension=xmlwriter.so
zend_extension=opcache.so
log_errors=On
upload_max_filesize=64M
post_max_size=64M
"""

_MIME_TYPES = """\
text/html html htm
text/css css
text/javascript js mjs
text/plain txt
application/json json
image/gif gif
image/jpeg jpeg jpg
image/png png
image/svg+xml svg
image/webp webp
font/woff woff
font/woff2 woff2
"""

RECIPE = Recipe(
    name="wordpress",
    packages=("apache2-bin", "libapache2-mod-php", "php-mysql", "php-mbstring", "php-xml", "busybox-static"),
    bare=(
        "wordpress",
        "wordpress-theme-twentytwentythree|wordpress-theme-twentytwentyfour|wordpress-theme-twentytwentyone",
        "libjs-cropper", "libjs-underscore", "libjs-prototype", "libjs-scriptaculous", "php-getid3",
    ),
    without=(
        "debconf", "debianutils", "dpkg", "tar", "perl", "perl-base", "perl-modules-*", "libperl5.*", "usrmerge",
        "libfile-find-rule-perl", "libnumber-compare-perl", "libtext-glob-perl", "init-system-helpers", "ucf",
        "sensible-utils", "sysvinit-utils", "procps", "psmisc", "php-common", "lsb-base", "libgdbm*", "apache2",
        "apache2-utils", "apache2-data", "libapache2-mod-php", "php-mysql", "php-mbstring", "php-xml",
        "media-types",
    ),
    drop=(
        # PHP is built to read the zones from here, and crashes without UTC; these are the same zones once more.
        "usr/share/zoneinfo/right/*", "usr/share/zoneinfo/posix/*",
        "etc/apache2/*", "etc/wordpress/*", "usr/bin/php*", "usr/share/wordpress/wp-config.php",
    ),
    users=(_USER,),
    directories={
        "run/apache2": None, "var/lib/wordpress": _USER, "var/lib/wordpress/wp-content": _USER,
        "var/lib/wordpress/wp-content/uploads": _USER, "var/www": None,
    },
    files={
        "usr/local/bin/docker-entrypoint.sh": _ENTRYPOINT,
        "usr/local/bin/apache2-foreground": _FOREGROUND,
        "etc/apache2/apache2.conf": _CONFIGURATION,
        "etc/wordpress/wp-config.php": _SITE,
        "etc/stackyard-php/wordpress.ini": _PHP,
        "etc/mime.types": _MIME_TYPES,
    },
    links={
        "var/www/html": "/usr/share/wordpress",
        "usr/share/wordpress/wp-config.php": "/etc/wordpress/wp-config.php",
        "usr/lib/apache2/modules/libphp.so": "usr/lib/apache2/modules/libphp*.so",
    },
    config={
        "Entrypoint": ["docker-entrypoint.sh"],
        "Cmd": ["apache2-foreground"],
        "Env": [PATH, "PHP_INI_SCAN_DIR=/etc/stackyard-php"],
        "ExposedPorts": {"80/tcp": {}},
        "StopSignal": "SIGWINCH",
        "WorkingDir": "/var/www/html",
    },
)  # fmt: skip
