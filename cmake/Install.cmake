# What `cmake --install` puts where: library, headers, pkg-config file, CMake package, command, SQL, man pages.
# Components, each a package (cmake/Packages.cmake): runtime, development, tools.
include(CMakePackageConfigHelpers)

set(PGK_SHARE_DIR ${CMAKE_INSTALL_DATADIR}/pgkeeper)
set(PGK_MIGRATIONS_DIR ${PGK_SHARE_DIR}/migrations)
set(PGK_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/pgkeeper)

install(TARGETS pgkeeper EXPORT pgkeeper-targets LIBRARY COMPONENT runtime NAMELINK_COMPONENT development)
install(EXPORT pgkeeper-targets NAMESPACE pgkeeper:: DESTINATION ${PGK_PACKAGE_DIR} COMPONENT development)
install(DIRECTORY include/pgkeeper DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development
    FILES_MATCHING PATTERN "*.h")
if(TARGET pgkeeper_cli)
    # Runs from any prefix; where the system's own directories are used, no path is needed.
    if(NOT CMAKE_INSTALL_PREFIX STREQUAL "/usr")
        file(RELATIVE_PATH pgk_rpath "/prefix/${CMAKE_INSTALL_BINDIR}" "/prefix/${CMAKE_INSTALL_LIBDIR}")
        set_target_properties(pgkeeper_cli PROPERTIES INSTALL_RPATH "$ORIGIN/${pgk_rpath}")
    endif()
    install(TARGETS pgkeeper_cli COMPONENT tools)
    if(TARGET pgkeeper_completion)
        install(FILES ${PROJECT_BINARY_DIR}/completion.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
            RENAME pgkeeper COMPONENT tools)
    endif()
    # Units and the user that they run as. A unit names the command by its whole path.
    file(GLOB units CONFIGURE_DEPENDS contrib/systemd/*.service)
    foreach(unit IN LISTS units)
        get_filename_component(name ${unit} NAME)
        file(READ ${unit} text)
        string(REPLACE "/usr/bin/pgkeeper" "${CMAKE_INSTALL_FULL_BINDIR}/pgkeeper" text "${text}")
        file(CONFIGURE OUTPUT systemd/${name} CONTENT "${text}" @ONLY)
        install(FILES ${PROJECT_BINARY_DIR}/systemd/${name} DESTINATION lib/systemd/system COMPONENT tools)
        set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${unit})
    endforeach()
    install(FILES contrib/systemd/pgkeeper.sysusers DESTINATION lib/sysusers.d RENAME pgkeeper.conf COMPONENT tools)
endif()
# The command carries the migrations in it; the files are for programs that apply them by means of their own.
install(DIRECTORY migrations/ DESTINATION ${PGK_MIGRATIONS_DIR} COMPONENT development FILES_MATCHING PATTERN "*.sql")
install(FILES sql/roles.sql sql/after_restore.sql DESTINATION ${PGK_SHARE_DIR} COMPONENT tools)
install(FILES README.md LICENSE CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT tools)
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT tools FILES_MATCHING PATTERN "*.md")
# README points to these.
install(FILES bench/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR}/bench COMPONENT tools)
install(DIRECTORY contrib DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT tools)
install(FILES examples/master.c examples/jobs.c examples/jobs.h examples/files.c examples/follower.c
    examples/event_loop.c examples/embedded.c
    DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples COMPONENT tools)
set(PGK_MAN_COMPONENT_1 tools)
set(PGK_MAN_COMPONENT_3 development)
set(PGK_MAN_COMPONENT_5 tools)
foreach(section IN ITEMS 1 3 5)
    file(GLOB pages CONFIGURE_DEPENDS man/*.${section})
    if(pages)
        install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section}
            COMPONENT ${PGK_MAN_COMPONENT_${section}})
    endif()
endforeach()

# A page for each verb: those that share one are one line that names it.
file(GLOB pages CONFIGURE_DEPENDS man/pgkeeper-*.1)
foreach(page IN LISTS pages)
    get_filename_component(file ${page} NAME)
    file(STRINGS ${page} names REGEX "^\\.Nm pgkeeper-[a-z]+( ,)?$")
    foreach(name IN LISTS names)
        string(REGEX REPLACE "^\\.Nm (pgkeeper-[a-z]+).*" "\\1.1" alias "${name}")
        if(NOT alias STREQUAL file)
            file(CONFIGURE OUTPUT man/${alias} CONTENT ".so man1/${file}\n")
            install(FILES ${PROJECT_BINARY_DIR}/man/${alias} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT tools)
        endif()
    endforeach()
endforeach()

# The pkg-config file finds its neighbours from where it lies, so that any --prefix is right.
cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_LIBDIR BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}" OUTPUT_VARIABLE pgk_libdir)
foreach(dir IN ITEMS LIBDIR INCLUDEDIR DATADIR)
    cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_${dir} BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}" OUTPUT_VARIABLE path)
    file(RELATIVE_PATH PGK_PC_${dir} "${pgk_libdir}/pkgconfig" "${path}")
    set(PGK_PC_${dir} "\${pcfiledir}/${PGK_PC_${dir}}")
endforeach()
configure_file(cmake/pgkeeper.pc.in pgkeeper.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/pgkeeper.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)

configure_package_config_file(cmake/pgkeeper-config.cmake.in pgkeeper-config.cmake
    INSTALL_DESTINATION ${PGK_PACKAGE_DIR} PATH_VARS PGK_MIGRATIONS_DIR)
write_basic_package_version_file(pgkeeper-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/pgkeeper-config.cmake ${PROJECT_BINARY_DIR}/pgkeeper-config-version.cmake
    DESTINATION ${PGK_PACKAGE_DIR} COMPONENT development)
