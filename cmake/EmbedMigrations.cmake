# embed_migrations(<dir> <out>): makes migrations.c with the table `migrations` (src/cli/migrate.h) from the pairs
# <dir>/NNNN_name.{up,down}.sql, each with the SHA-256 of its up file. Sets <out>_SOURCES.
function(embed_migrations dir out)
    file(GLOB files CONFIGURE_DEPENDS ${dir}/*.sql)
    list(SORT files)
    set(gen ${CMAKE_CURRENT_BINARY_DIR}/migrations.c)
    add_custom_command(OUTPUT ${gen}
        COMMAND ${CMAKE_COMMAND} "-DFILES=${files}" "-DOUT=${gen}"
            -P ${PROJECT_SOURCE_DIR}/cmake/embed_migrations_run.cmake
        DEPENDS ${files} ${PROJECT_SOURCE_DIR}/cmake/embed_migrations_run.cmake
        COMMENT "Embedding migrations from ${dir}" VERBATIM)
    set(${out}_SOURCES ${gen} PARENT_SCOPE)
endfunction()
