// Logs in and out with cgo.
package main

// #cgo LDFLAGS: -lfiles_session
// #include <stdlib.h>
// #include "files_session.h"
import "C"

import (
	"fmt"
	"os"
	"unsafe"
)

// A copy for C, which the caller frees.
func variable(name string) *C.char {
	return C.CString(os.Getenv(name))
}

func main() {
	var options C.files_session_options
	C.files_session_options_init(&options, C.sizeof_files_session_options)
	options.base_url = variable("FILES_BASE_URL")
	defer C.free(unsafe.Pointer(options.base_url))
	options.username = variable("FILES_USERNAME")
	defer C.free(unsafe.Pointer(options.username))
	options.password = variable("FILES_PASSWORD")
	defer C.free(unsafe.Pointer(options.password))

	var session *C.files_session
	var err *C.files_session_error
	if C.files_session_login(&options, &session, &err) != C.FILES_SESSION_OK {
		fmt.Fprintln(os.Stderr, C.GoString(C.files_session_error_message(err)))
		C.files_session_error_free(err)
		os.Exit(1)
	}
	fmt.Println("logged in at", C.GoString(C.files_session_base_url(session)))
	C.files_session_logout(session, nil)
	C.files_session_free(session)
}
