<?php
// Logs in and out with FFI. The argument is a file with the header's declarations.
$library = FFI::cdef(
    file_get_contents($argv[1]),
    getenv('FILES_SESSION_LIBRARY') ?: 'libfiles_session.so'
);
$options = $library->new('files_session_options'); // all zero
$options->size = FFI::sizeof($options);
$texts = []; // keeps C's copies of the strings alive
foreach (['base_url', 'username', 'password'] as $name) {
    $text = getenv('FILES_' . strtoupper($name)) . "\0";
    $texts[$name] = FFI::new('char[' . strlen($text) . ']');
    FFI::memcpy($texts[$name], $text, strlen($text));
    $options->$name = FFI::addr($texts[$name][0]);
}

$session = $library->new('files_session *');
$error = $library->new('files_session_error *');
$status = $library->files_session_login(
    FFI::addr($options), FFI::addr($session), FFI::addr($error)
);
if ($status != $library->FILES_SESSION_OK) {
    fwrite(STDERR, $library->files_session_error_message($error) . "\n");
    $library->files_session_error_free($error);
    exit(1);
}
echo 'logged in at ', $library->files_session_base_url($session), "\n";
$library->files_session_logout($session, null);
$library->files_session_free($session);
