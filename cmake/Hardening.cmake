# Warnings for our own code, and what a release is hardened with.
add_compile_options(-Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
                    -Wimplicit-fallthrough -Wundef -fno-common -fstack-protector-strong
                    -Wno-format-truncation           # cutting a message to its buffer is meant wherever snprintf is used
                    -Wno-missing-field-initializers) # rows of tables leave the rest zero
option(STOWAGE_WERROR "Treat warnings as errors" ON)
if(STOWAGE_WERROR)
  add_compile_options(-Werror)
endif()
set(STOWAGE_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize= takes them")
if(STOWAGE_SANITIZE)
  add_compile_options(-fsanitize=${STOWAGE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${STOWAGE_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
add_link_options(-pie -Wl,-z,relro,-z,now -Wl,--as-needed)
