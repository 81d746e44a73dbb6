# embed_sql(<name> <dir> <out>): makes <name>.h and <name>.c with one `extern const char sql_<path>[]` per
# <dir>/<service>/<stem>.sql (sql_leadership_take_over for leadership/take_over.sql). Sets <out>_SOURCES, <out>_INCLUDE.
function(embed_sql name dir out)
    file(GLOB_RECURSE files CONFIGURE_DEPENDS RELATIVE ${dir} ${dir}/*/*.sql)
    list(SORT files)
    set(gen ${CMAKE_CURRENT_BINARY_DIR}/sql)
    set(inputs "")
    foreach(file IN LISTS files)
        list(APPEND inputs ${dir}/${file})
    endforeach()
    add_custom_command(OUTPUT ${gen}/${name}.c ${gen}/${name}.h
        COMMAND ${CMAKE_COMMAND} "-DDIR=${dir}" "-DFILES=${files}" "-DOUT=${gen}/${name}"
            -P ${PROJECT_SOURCE_DIR}/cmake/embed_sql_run.cmake
        DEPENDS ${inputs} ${PROJECT_SOURCE_DIR}/cmake/embed_sql_run.cmake
        COMMENT "Embedding SQL from ${dir}" VERBATIM)
    set(${out}_SOURCES ${gen}/${name}.c ${gen}/${name}.h PARENT_SCOPE)
    set(${out}_INCLUDE ${gen} PARENT_SCOPE)
endfunction()
