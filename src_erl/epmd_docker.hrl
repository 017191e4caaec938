%% Shared by the modules of this library: documentation attributes, and log macros.

-include_lib("kernel/include/logger.hrl").

%% The only place that differs by OTP version: -moduledoc and -doc exist from OTP 27 on.
-if(?OTP_RELEASE >= 27).
-define(MODULEDOC(Text), -moduledoc(Text)).
-define(DOC(Text), -doc(Text)).
-else.
-define(MODULEDOC(Text), -compile([])).
-define(DOC(Text), -compile([])).
-endif.

%% Reports, never text: the handler that the user configured decides how they look.
-define(LOG_META, #{
    domain => [epmd_docker],
    report_cb => fun epmd_docker_log:format/1
}).
