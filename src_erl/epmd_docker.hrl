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

%% Reports, never text: the handler that the user configured decides how they look. No `domain':
%% OTP's default handler drops every event whose domain is not one of OTP's own (25 to 29,
%% DEFAULT_HANDLER_FILTERS in logger_internal.hrl), and the user would never see a warning.
%% `logger:set_application_level(epmd_docker, debug)' shows all.
-define(LOG_META, #{report_cb => fun epmd_docker_log:format/1}).

%% Version of the distribution protocol: OTP 25 and later speak nothing older (DFLAG_HANDSHAKE_23).
-define(DIST_VERSION, 6).

%% Whoever works for somebody keeps the deadline itself; this is for a machine that is busy.
-define(SLACK_MS, 100).
