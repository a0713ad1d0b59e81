// Logs in and out with JNA.
import com.sun.jna.IntegerType;
import com.sun.jna.Library;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import com.sun.jna.Structure;
import com.sun.jna.ptr.PointerByReference;
import java.util.Map;

public class Login {
    public interface FilesSession extends Library {
        int files_session_login(Options options, PointerByReference session,
            PointerByReference error);
        int files_session_logout(Pointer session, PointerByReference error);
        void files_session_free(Pointer session);
        void files_session_error_free(Pointer error);
        String files_session_base_url(Pointer session);
        String files_session_error_message(Pointer error);
    }

    public static class Size extends IntegerType {
        public Size() { this(0); }
        public Size(long size) { super(Native.SIZE_T_SIZE, size, true); }
    }

    @Structure.FieldOrder({"size", "base_url", "username", "password", "otp", "partial_session_id",
        "language", "user_agent", "ca_pem", "proxy", "canceller", "timeout_ms",
        "connect_timeout_ms", "retries", "allow_http"})
    public static class Options extends Structure {
        public Size size = new Size();
        public String base_url, username, password, otp, partial_session_id;
        public String language, user_agent, ca_pem, proxy;
        public Pointer canceller;
        public int timeout_ms, connect_timeout_ms, retries, allow_http;

        public Options() {
            setStringEncoding("UTF-8");
            size.setValue(size());
        }
    }

    public static void main(String[] arguments) {
        String path = System.getenv().getOrDefault("FILES_SESSION_LIBRARY", "files_session");
        FilesSession library = Native.load(path, FilesSession.class,
            Map.of(Library.OPTION_STRING_ENCODING, "UTF-8"));
        Options options = new Options();
        options.base_url = System.getenv("FILES_BASE_URL");
        options.username = System.getenv("FILES_USERNAME");
        options.password = System.getenv("FILES_PASSWORD");

        PointerByReference session = new PointerByReference();
        PointerByReference error = new PointerByReference();
        if (library.files_session_login(options, session, error) != 0) {
            System.err.println(library.files_session_error_message(error.getValue()));
            library.files_session_error_free(error.getValue());
            System.exit(1);
        }
        System.out.println("logged in at " + library.files_session_base_url(session.getValue()));
        library.files_session_logout(session.getValue(), null);
        library.files_session_free(session.getValue());
    }
}
