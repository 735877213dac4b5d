# Language level, warnings, hardening and sanitizers of everything built here; nothing of it reaches
# the targets of a project that uses weir.

set(WEIR_WARNINGS
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes
  -Wmissing-prototypes -Wold-style-definition -Wvla -Wundef -Wcast-qual -Wformat=2
  -Wimplicit-fallthrough -Wswitch-enum -Wwrite-strings -Wpointer-arith -Wdouble-promotion
  -Wnull-dereference)
set(WEIR_HARDENING -fstack-protector-strong -fstack-clash-protection -fno-common)

if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  list(APPEND WEIR_WARNINGS
    -Wduplicated-cond -Wduplicated-branches -Wlogical-op -Wjump-misses-init -Walloca
    -Wcast-align=strict -Warith-conversion -Wformat-signedness -Wbidi-chars)
  list(APPEND WEIR_HARDENING -ftrivial-auto-var-init=zero)
else()
  list(APPEND WEIR_WARNINGS
    -Wthread-safety -Wcomma -Wcast-align -Wunreachable-code -Wconditional-uninitialized
    -Wassign-enum)
endif()
if(WEIR_WERROR)
  list(APPEND WEIR_WARNINGS -Werror)
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|i[3-6]86")
  list(APPEND WEIR_HARDENING -fcf-protection=full)
endif()

if(WEIR_SANITIZE)
  # Fortify hides calls from the sanitizers, and a shared library cannot resolve their runtime.
  set(WEIR_SANITIZE_FLAGS -fsanitize=${WEIR_SANITIZE} -fno-sanitize-recover=all
    -fno-omit-frame-pointer)
  set(WEIR_LINK_HARDENING -Wl,-z,relro,-z,now,-z,noexecstack)
else()
  set(WEIR_SANITIZE_FLAGS "")
  # Fortify needs optimisation; glibc warns without.
  list(APPEND WEIR_HARDENING $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE>
    $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=3>)
  set(WEIR_LINK_HARDENING -Wl,-z,relro,-z,now,-z,noexecstack,--no-undefined,--as-needed)
endif()

if(PROJECT_IS_TOP_LEVEL)
  if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug or Release" FORCE)
  endif()
  set(CMAKE_C_FLAGS_RELEASE "-O2 -g -DNDEBUG")
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
endif()

# The call path crosses a dozen files: linking them as one saves a sixth of its instructions. Fat
# objects, so that the static library serves linkers that know nothing of it.
if(PROJECT_IS_TOP_LEVEL AND CMAKE_C_COMPILER_ID STREQUAL "GNU" AND NOT WEIR_SANITIZE)
  set(WEIR_WHOLE $<$<CONFIG:Release>:-flto=auto> $<$<CONFIG:Release>:-ffat-lto-objects>)
else()
  set(WEIR_WHOLE "")
endif()

include(CheckPIESupported)
check_pie_supported(LANGUAGES C)

# Applies all of the above to one target of ours.
function(weir_build_options target)
  set_target_properties(${target} PROPERTIES
    C_STANDARD 17 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF
    C_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON)
  target_compile_options(${target} PRIVATE
    ${WEIR_WARNINGS} ${WEIR_HARDENING} ${WEIR_SANITIZE_FLAGS} ${WEIR_WHOLE})
  target_link_options(${target} PRIVATE ${WEIR_LINK_HARDENING} ${WEIR_SANITIZE_FLAGS} ${WEIR_WHOLE})
  # Defined on the command line because the two files built without instrumentation must know too.
  if(WEIR_SANITIZE)
    target_compile_definitions(${target} PRIVATE WR_SANITIZED=1)
  endif()
  if(WEIR_SANITIZE MATCHES "thread")
    target_compile_definitions(${target} PRIVATE WR_TSAN=1)
  endif()
endfunction()
